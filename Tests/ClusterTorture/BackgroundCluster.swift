import Glibc
import TestKit

/// A second cluster on the same Redis, with the same conversation names. Faults of the first
/// cluster must not affect it.
final class BackgroundCluster {
    let processes: ClusterProcesses
    private let context: TortureContext
    private let seed: UInt64
    private var isDisturbed = false

    init(journal: Journal, storeEndpoint: StoreEndpoint, binaries: [String], seed: UInt64) throws {
        self.context = TortureContext(journal)
        self.processes = try ClusterProcesses(
            "neighbour", storeEndpoint: storeEndpoint, binaries: binaries, context: self.context)
        self.seed = seed
    }

    deinit { self.context.phase = .ended }

    func start() throws {
        try self.processes.start(["o1"])
        for conversation in ["c1", "c2"] {
            for number in 0..<2 {
                let name = "\(conversation)-o\(number)"
                var plan = MemberPlan(
                    name: name, conversation: conversation, seed: self.seed &+ UInt64(number),
                    messageInterval: .milliseconds(300), homeNode: "o1")
                plan.millisecondsPerNode = nil
                plan.answerTimeoutMilliseconds = 10_000...10_000
                TortureMember.start(plan, context: self.context)
            }
        }
    }

    /// Records that a fault may affect this cluster.
    func recordDisturbance() { self.isDisturbed = true }

    func startAndKillNode() throws {
        try self.processes.start(["o2"])
        try self.processes.stop(["o2"], by: SIGKILL)
        self.processes.remove("o2")
    }

    func finish() -> [String] {
        self.context.phase = .finishing
        let deadline = Deadline(within: .seconds(30))
        let names: Set<String> = ["c1-o0", "c1-o1", "c2-o0", "c2-o1"]
        while !deadline.isExpired {
            let isComplete = self.context.journal.check { checker in
                names.allSatisfy {
                    checker.position(of: $0) == checker.head(of: String($0.prefix(2)))
                }
            }
            if isComplete, self.context.journal.finishedMembers == names { break }
            poll(nil, 0, 20)
        }
        for conversation in ["c1", "c2"] {
            do {
                try self.context.journal.recordEnd(
                    of: conversation, through: "o1", in: self.processes)
            } catch {
                self.context.journal.check { $0.recordViolation("\(conversation): \(error)") }
            }
        }
        self.context.journal.check { $0.checkCompleteness() }
        let unanswered = names.subtracting(self.context.journal.finishedMembers).sorted()
        if !unanswered.isEmpty {
            self.context.journal.check {
                $0.recordViolation("\(unanswered) have unanswered sends")
            }
        }
        self.context.phase = .ended
        var violations = self.context.journal.violations
        let counts = self.context.journal.counts
        if !self.isDisturbed, counts.reconnects > 0 {
            violations.append("\(counts.reconnects) connections ended: \(counts.failureReasons)")
        }
        return violations
    }
}
