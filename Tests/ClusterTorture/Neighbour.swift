import Glibc
import TestKit

/// Another cluster on the same Redis, whose conversations have the same names: nothing that is done to the first may be felt there.
final class Neighbour {
    let fleet: Fleet
    private let stage: Stage
    private let seed: UInt64
    private var isDisturbed = false

    init(at place: StorePlace, binaries: [String], seed: UInt64) throws {
        self.stage = Stage(Journal())
        self.fleet = try Fleet("neighbour", at: place, binaries: binaries, on: self.stage)
        self.seed = seed
    }

    deinit { self.stage.act = .over }

    func start() throws {
        try self.fleet.start(["o1"])
        for conversation in ["c1", "c2"] {
            for number in 0..<2 {
                let name = "\(conversation)-o\(number)"
                var plan = MemberPlan(
                    name: name, conversation: conversation, seed: self.seed &+ UInt64(number), pace: .milliseconds(300), home: "o1")
                plan.stay = nil
                plan.patience = 10_000...10_000
                Member.start(plan, on: self.stage)
            }
        }
    }

    /// Something happens that it may notice.
    func isHit() { self.isDisturbed = true }

    func comeAndGo() throws {
        try self.fleet.start(["o2"])
        try self.fleet.end(["o2"], by: SIGKILL)
        self.fleet.forget("o2")
    }

    func finish() -> [String] {
        self.stage.act = .settling
        let deadline = Deadline(within: .seconds(30))
        let names: Set<String> = ["c1-o0", "c1-o1", "c2-o0", "c2-o1"]
        while !deadline.isOver {
            let isShown = self.stage.journal.check { checker in
                names.allSatisfy { checker.position(of: $0) == checker.head(of: String($0.prefix(2))) }
            }
            if isShown, self.stage.journal.settledMembers == names { break }
            poll(nil, 0, 20)
        }
        for conversation in ["c1", "c2"] {
            do {
                let history = try self.fleet.history(of: conversation, through: "o1")
                self.stage.journal.check { $0.reads(history, of: conversation, through: "o1") }
            } catch {
                self.stage.journal.check { $0.object("\(conversation): \(error)") }
            }
        }
        self.stage.journal.check { $0.conclude() }
        let silent = names.subtracting(self.stage.journal.settledMembers).sorted()
        if !silent.isEmpty { self.stage.journal.check { $0.object("\(silent) have no answer to what they sent") } }
        self.stage.act = .over
        var violations = self.stage.journal.violations
        let counts = self.stage.journal.counts
        if !self.isDisturbed, counts.reconnects > 0 { violations.append("\(counts.reconnects) connections ended: \(counts.endings)") }
        return violations
    }
}
