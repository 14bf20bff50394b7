import Foundation
import RepeatableChance
import TestKit

/// How a torture is to be.
public struct TortureSettings: Sendable {
    public var seed: UInt64
    public var store = StoreMode.redis
    public var nodes = 3
    public var conversations = 8
    /// Of each conversation; the last of them only reads.
    public var members = 3
    /// Mean time between two messages of a member.
    public var pace = Duration.milliseconds(150)
    public var binary = Checkout.confab
    /// Another version's program, which half of the nodes run; each start of a node changes which.
    public var otherBinary: String?
    /// Whether another cluster lives in the same Redis all the while.
    public var hasNeighbour = false
    /// Members stay with the node that is theirs, and are there again soon: for measuring.
    public var isSteady = false
    /// How `redis-server` syncs its file: always or everysec.
    public var appendfsync: String

    var binaries: [String] { [self.binary] + (self.otherBinary.map { [$0] } ?? []) }

    public init(seed: UInt64) {
        self.seed = seed
        self.appendfsync = seed % 2 == 0 ? "everysec" : "always"
    }
}

/// A cluster of real processes on a Redis of its own, people who talk through all of its nodes without end, and faults.
///
/// One thread plays the faults, one after the other. After each of them every conversation has to take a message again.
public final class Torture {
    /// How bad a kind of fault was.
    public struct Gap: Sendable {
        public var count = 0
        /// The longest time from a fault until every conversation had taken a message again.
        public var worst = Duration.zero
        /// The longest time that a conversation took none, the pauses of those who talk included.
        public var silence = Duration.zero
    }

    /// What came of it.
    public struct Verdict: Sendable {
        public var violations: [String] = []
        public var violationCount = 0
        public var messages = 0
        public var counts = Journal.Counts()
        public var gaps: [FaultKind: Gap] = [:]
    }

    /// After so long without a message a conversation hangs.
    private static let patience = Duration.seconds(30)
    /// Of a gap as long as this it is told whether its members had a node to talk to.
    private static let longGap = Duration.seconds(5)
    private static let firstMessages = Duration.seconds(20)

    public let settings: TortureSettings
    private let say: (String) -> Void
    private let begin = ContinuousClock.now
    private let store: any TortureStore
    private let stage: Stage
    private let fleet: Fleet
    private let neighbour: Neighbour?
    private let conversations: [String]
    private var plans: [MemberPlan] = []
    private var gaps: [FaultKind: Gap] = [:]
    private var lines: [String] = []
    private var chance: SeededGenerator

    private var journal: Journal { self.stage.journal }

    /// - Parameter say: gets a line for everything that happens.
    public init(_ settings: TortureSettings, say: @escaping (String) -> Void = { _ in }) throws {
        self.settings = settings
        self.say = say
        self.chance = SeededGenerator(seed: settings.seed)
        let options = ["--appendonly", "yes", "--appendfsync", settings.appendfsync, "--aof-timestamp-enabled", "yes"]
        self.store =
            switch settings.store {
            case .redis: try StandaloneStore(options)
            case .sentinel: try SentinelStore(options)
            case .cluster: try ClusterStore(options)
            }
        self.stage = Stage(Journal())
        self.fleet = try Fleet("torture", at: self.store.place, binaries: settings.binaries, on: self.stage)
        self.neighbour = settings.hasNeighbour ? try Neighbour(at: self.store.place, binaries: settings.binaries, seed: settings.seed) : nil
        self.conversations = (1...settings.conversations).map { "c\($0)" }
    }

    deinit { self.stage.act = .over }

    // MARK: The play

    /// Starts everything, and returns when every conversation has taken a message.
    public func start() throws {
        let names = (1...self.settings.nodes).map { "n\($0)" }
        try self.fleet.start(names)
        self.tell("\(names.joined(separator: ", ")) are ready; \(self.store.title), appendfsync \(self.settings.appendfsync)")
        for conversation in self.conversations {
            for number in 0..<self.settings.members {
                var plan = MemberPlan(
                    name: "\(conversation)-m\(number)", conversation: conversation, seed: self.chance.next(), pace: self.settings.pace,
                    home: names[number % names.count])
                if number > 1, number == self.settings.members - 1, !self.settings.isSteady { plan.pace = nil }
                if self.settings.isSteady {
                    plan.window = 100
                    plan.stay = 2000...4000
                    plan.patience = 30_000...30_000
                }
                self.plans.append(plan)
            }
        }
        self.journal.watch(self.conversations)
        for plan in self.plans { Member.start(plan, on: self.stage) }
        try self.neighbour?.start()
        try self.awaitMessages("the start", within: Self.firstMessages)
    }

    /// Faults of these kinds, one after the other, for so long.
    public func play(_ kinds: [FaultKind], for time: Duration) throws {
        let end = ContinuousClock.now + time
        while ContinuousClock.now < end, self.journal.violationCount == 0 {
            // Some strike what has hardly come back.
            self.rest(.milliseconds(self.chance.happens(perMille: 300) ? self.chance.number(0...150) : self.chance.number(500...3000)))
            let kind = self.chance.pick(kinds)!
            let limit = self.settings.nodes + 2
            guard let fault = Fault.draw(kind, among: self.fleet.names, upTo: limit, using: &self.chance) else { continue }
            try self.strike(fault)
        }
    }

    /// Does it, undoes it, and waits until every conversation has taken a message again; says how long that took.
    @discardableResult
    public func strike(_ fault: Fault) throws -> Duration? {
        self.tell("\(fault)")
        if fault.hitsRedis { self.neighbour?.isHit() }
        self.journal.watch(self.conversations)
        try self.perform(fault)
        let gap = try self.awaitMessages("\(fault)", within: Self.patience)
        if let gap {
            var all = self.gaps[fault.kind, default: Gap()]
            all.count += 1
            all.worst = max(all.worst, gap)
            all.silence = max(all.silence, self.journal.silence)
            self.gaps[fault.kind] = all
        }
        for name in self.fleet.crashed { self.object("\(name) has ended by itself") }
        return gap
    }

    private func perform(_ fault: Fault) throws {
        switch fault {
        case .kill(let node, let time):
            try self.fleet.end([node], by: SIGKILL)
            self.rest(time)
            try self.fleet.start([node])
        case .freeze(let node, let time):
            try self.fleet.signal(node, SIGSTOP)
            self.rest(time)
            try self.fleet.signal(node, SIGCONT)
        case .drain(let node):
            try self.fleet.end([node], by: SIGTERM)
            try self.fleet.start([node])
        case .join(let node):
            try self.fleet.start([node])
        case .leave(let node):
            try self.fleet.end([node], by: SIGTERM)
            self.fleet.forget(node)
        case .restartAll(let isKilled):
            let names = self.fleet.names
            try self.fleet.end(names, by: isKilled ? SIGKILL : SIGTERM)
            // What was taken before the last of them ended says nothing.
            if !isKilled { self.journal.watch(self.conversations) }
            try self.fleet.start(names)
        case .store(let fault):
            try self.store.perform(fault, self.scene)
        case .cut(let node, let condition, let time):
            try self.fleet.set(condition, for: node)
            self.rest(time)
            try self.fleet.set(.good, for: node)
        case .twoClusters:
            try self.neighbour?.comeAndGo()
        }
        self.tell("  over")
    }

    private var scene: Scene {
        Scene(
            rest: { self.rest($0) },
            await: { moment in
                if case .beforeAmendment = moment { self.awaitAmendment() }
                self.journal.watch(self.conversations)
            },
            turn: { self.journal.watchOn() })
    }

    /// Where for a while nobody wants to amend anything it is any moment.
    private func awaitAmendment() {
        let count = self.journal.intentions
        let deadline = Deadline(within: .seconds(5))
        while self.journal.intentions == count, !deadline.isOver { self.rest(.milliseconds(1)) }
    }

    @discardableResult
    private func awaitMessages(_ what: String, within time: Duration) throws -> Duration? {
        let deadline = Deadline(within: time)
        while !deadline.isOver {
            if let gap = self.journal.gap {
                let silence = self.journal.silence
                self.tell("  every conversation has gone on \(seconds(gap)) after it began; one took nothing for \(seconds(silence))")
                if gap > Self.longGap, let last = self.journal.lastToGoOn { self.tell("  the last was \(last)") }
                return gap
            }
            self.rest(.milliseconds(10))
        }
        self.object("after \(what) nothing was stored for \(seconds(time)) in \(self.journal.waiting.joined(separator: ", "))")
        return nil
    }

    // MARK: The end

    /// Lets everybody come to an end, reads everything through every node, and judges.
    public func finish() throws -> Verdict {
        self.stage.act = .settling
        let writers = Set(self.plans.filter { $0.pace != nil }.map(\.name))
        self.wait(for: "have no answer to what they sent, though all is well again") {
            writers.subtracting(self.journal.settledMembers).sorted()
        }
        self.wait(for: "were not shown everything, though all is well again") {
            self.journal.check { checker in
                self.plans.filter { checker.position(of: $0.name) < checker.head(of: $0.conversation) }.map(\.name)
            }
        }
        for conversation in self.conversations {
            for node in self.fleet.names {
                do {
                    let history = try self.fleet.history(of: conversation, through: node)
                    self.journal.check { $0.reads(history, of: conversation, through: node) }
                } catch {
                    self.object("\(conversation): through \(node): \(error)")
                }
            }
        }
        self.stage.act = .over
        self.journal.check { $0.conclude() }
        if let neighbour = self.neighbour { for violation in neighbour.finish() { self.object("the other cluster: \(violation)") } }
        if let brokenAt = self.journal.brokenAt { self.tell("the first member heard something wrong at \(seconds(brokenAt - self.begin))") }
        self.tell("\(self.journal.violationCount == 0 ? "nothing is wrong" : "\(self.journal.violationCount) violations")")
        var verdict = Verdict()
        verdict.violations = self.journal.violations
        verdict.violationCount = self.journal.violationCount
        verdict.messages = self.journal.messageCount
        verdict.counts = self.journal.counts
        verdict.gaps = self.gaps
        return verdict
    }

    /// What every node and Redis have written, Redis' data, and what happened.
    public func writeLogs(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try self.fleet.writeLogs(to: folder)
        try self.neighbour?.fleet.writeLogs(to: folder)
        let story = self.lines + self.journal.violations.map { "VIOLATION \($0)" }
        try story.joined(separator: "\n").write(toFile: "\(folder)/story.log", atomically: true, encoding: .utf8)
        try self.store.writeLogs(to: folder)
    }

    private func wait(for what: String, _ names: () -> [String]) {
        let deadline = Deadline(within: Self.patience)
        while true {
            let rest = names()
            if rest.isEmpty { return }
            if deadline.isOver { return self.object("\(rest.joined(separator: ", ")) \(what)") }
            self.rest(.milliseconds(20))
        }
    }

    private func rest(_ time: Duration) {
        let deadline = Deadline(within: time)
        while !deadline.isOver { poll(nil, 0, deadline.milliseconds) }
    }

    private func object(_ words: String) {
        self.tell("VIOLATION \(words)")
        self.journal.check { $0.object(words) }
    }

    private func tell(_ words: String) {
        let line = "\(Date().formatted(.iso8601.time(includingFractionalSeconds: true))) \(seconds(.now - self.begin)) \(words)"
        self.lines.append(line)
        self.say(line)
    }
}
