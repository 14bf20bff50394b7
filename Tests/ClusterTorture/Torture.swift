import Foundation
import SeededRandom
import TestKit

/// A cluster of real processes with its own Redis, clients that send through all nodes, and faults.
///
/// One thread injects the faults one after the other. After each fault, every conversation has to
/// store a message again.
public final class Torture {
    /// The effect of a kind of fault.
    public struct Gap: Sendable {
        public var count = 0
        /// The longest time from a fault until every conversation had stored a message again.
        public var worst = Duration.zero
        /// The longest time without a message in one conversation, including the pauses of its
        /// members.
        public var longestSilence = Duration.zero
    }

    /// The result of a torture run.
    public struct TortureResult: Sendable {
        public var violations: [String] = []
        public var violationCount = 0
        public var messages = 0
        public var counts = Journal.TortureCounts()
        public var gaps: [FaultKind: Gap] = [:]
    }

    /// A conversation without a message for this long counts as hung.
    private static let resumeTimeout = Duration.seconds(30)
    /// A kit notices a frozen connection after 40 s.
    private static let kitResumeTimeout = Duration.seconds(90)
    /// For a gap longer than this, the log names the nodes that the last members tried.
    private static let reportedGap = Duration.seconds(5)
    private static let firstMessageTimeout = Duration.seconds(20)

    public let settings: TortureSettings
    private let printLine: (String) -> Void
    private let startedAt = ContinuousClock.now
    private let store: any TortureStore
    let context: TortureContext
    private let processes: ClusterProcesses
    private let backgroundCluster: BackgroundCluster?
    let conversations: [String]
    private var memberPlans: [MemberPlan] = []
    private var kitMembers: [KitMember] = []
    private var gaps: [FaultKind: Gap] = [:]
    private var logLines: [String] = []
    var random: SeededGenerator

    var journal: Journal { self.context.journal }

    /// The messages of all conversations so far.
    public var messageCount: Int { self.journal.messageCount }

    /// - Parameter printLine: called with each line of the log.
    public init(_ settings: TortureSettings, printLine: @escaping (String) -> Void = { _ in })
        throws
    {
        self.settings = settings
        self.printLine = printLine
        self.random = SeededGenerator(seed: settings.seed)
        let options = [
            "--appendonly", "yes", "--appendfsync", settings.appendfsync, "--aof-timestamp-enabled",
            "yes",
        ]
        self.store =
            switch settings.store {
            case .sqlite: try EmbeddedTortureStore()
            case .redis: try StandaloneStore(options)
            case .sentinel: try SentinelStore(options)
            case .cluster: try RedisClusterStore(options)
            }
        self.context = TortureContext(Journal(of: settings.store))
        self.processes = try ClusterProcesses(
            "torture", storeEndpoint: self.store.endpoint, binaries: settings.binaries,
            options: settings.hasHostileClients
                ? ["--anonymous", "on"] : ClusterProcesses.withoutRates,
            context: self.context)
        self.backgroundCluster =
            settings.hasBackgroundCluster
            ? try BackgroundCluster(
                journal: Journal(of: settings.store), storeEndpoint: self.store.endpoint,
                binaries: settings.binaries, seed: settings.seed) : nil
        self.conversations = (1...settings.conversations).map { "c\($0)" }
    }

    deinit { self.context.phase = .ended }

    // MARK: Injecting faults

    /// Starts everything, and returns when every conversation has stored a message.
    public func start() throws {
        let names = (1...self.settings.nodes).map { "n\($0)" }
        try self.processes.start(names)
        self.log(
            "\(names.joined(separator: ", ")) are ready; "
                + "\(self.store.title), appendfsync \(self.settings.appendfsync)"
        )
        for conversation in self.conversations where self.settings.kits.isEmpty {
            for number in 0..<self.settings.members {
                var plan = MemberPlan(
                    name: "\(conversation)-m\(number)", conversation: conversation,
                    seed: self.random.next(), messageInterval: self.settings.messageInterval,
                    homeNode: names[number % names.count])
                if number > 1, number == self.settings.members - 1, !self.settings.isMeasuring {
                    plan.messageInterval = nil
                }
                if self.settings.isMeasuring {
                    plan.pendingSendLimit = 100
                    plan.millisecondsPerNode = 2000...4000
                    plan.answerTimeoutMilliseconds = 30_000...30_000
                }
                self.memberPlans.append(plan)
            }
        }
        self.journal.startGapMeasurement(self.conversations)
        for plan in self.memberPlans { TortureMember.start(plan, context: self.context) }
        if self.settings.kits.isEmpty, !self.settings.isMeasuring {
            EntryMember.start(seed: self.random.next(), context: self.context)
        }
        try self.startKits(names)
        try self.backgroundCluster?.start()
        try self.awaitMessages("the start", within: Self.firstMessageTimeout)
    }

    private func startKits(_ nodes: [String]) throws {
        for conversation in self.conversations {
            for (number, kit) in self.settings.kits.enumerated() {
                let plan = MemberPlan(
                    name: "\(conversation)-\(kit.name)\(number)", conversation: conversation,
                    seed: self.random.next(), messageInterval: self.settings.messageInterval,
                    homeNode: nodes[number % nodes.count])
                self.memberPlans.append(plan)
                let member = try KitMember(plan, kit: kit, context: self.context)
                self.kitMembers.append(member)
                member.start()
            }
        }
    }

    private var resumeTimeout: Duration {
        self.kitMembers.isEmpty ? Self.resumeTimeout : Self.kitResumeTimeout
    }

    /// Injects random faults of these kinds for this time.
    public func injectFaults(_ kinds: [FaultKind], for time: Duration) throws {
        let end = ContinuousClock.now + time
        while ContinuousClock.now < end, self.journal.violationCount == 0 {
            // Some faults follow before the cluster has fully recovered.
            self.sleep(
                for: .milliseconds(
                    self.random.happens(perMille: 300)
                        ? self.random.number(0...150) : self.random.number(500...3000)))
            let kind = self.random.pick(kinds)!
            let limit = self.settings.nodes + 2
            guard
                let fault = ClusterFault.random(
                    kind, among: self.processes.names, upTo: limit, using: &self.random)
            else { continue }
            try self.inject(fault)
        }
    }

    /// Injects a fault, reverts it, and waits until every conversation has stored a message.
    /// Returns how long that took.
    @discardableResult
    public func inject(_ fault: ClusterFault) throws -> Duration? {
        self.log("\(fault)")
        if fault.affectsRedis { self.backgroundCluster?.recordDisturbance() }
        self.journal.startGapMeasurement(self.conversations)
        try self.perform(fault)
        let gap = try self.awaitMessages("\(fault)", within: self.resumeTimeout)
        if let gap {
            var total = self.gaps[fault.kind, default: Gap()]
            total.count += 1
            total.worst = max(total.worst, gap)
            total.longestSilence = max(total.longestSilence, self.journal.silence)
            self.gaps[fault.kind] = total
        }
        for name in self.processes.crashed {
            self.recordViolation("\(name) has ended unexpectedly")
        }
        return gap
    }

    private func perform(_ fault: ClusterFault) throws {
        switch fault {
        case .kill(let node, let time):
            try self.processes.stop([node], by: SIGKILL)
            self.sleep(for: time)
            try self.processes.start([node])
        case .freeze(let node, let time):
            try self.processes.signal(node, SIGSTOP)
            self.sleep(for: time)
            try self.processes.signal(node, SIGCONT)
        case .drain(let node):
            try self.processes.stop([node], by: SIGTERM)
            try self.processes.start([node])
        case .join(let node):
            try self.processes.start([node])
        case .leave(let node):
            try self.processes.stop([node], by: SIGTERM)
            self.processes.remove(node)
        case .restartAll(let isKilled):
            let names = self.processes.names
            try self.processes.stop(names, by: isKilled ? SIGKILL : SIGTERM)
            // Messages stored before the last node ended do not count.
            if !isKilled { self.journal.startGapMeasurement(self.conversations) }
            try self.processes.start(names)
        case .store(let fault):
            try self.store.perform(fault, self.hooks)
        case .cut(let node, let condition, let time):
            try self.processes.set(condition, for: node)
            self.sleep(for: time)
            try self.processes.set(.normal, for: node)
        case .twoClusters:
            try self.backgroundCluster?.startAndKillNode()
        case .clientCut(let time):
            for member in self.kitMembers { member.set(.reset) }
            self.sleep(for: time)
            for member in self.kitMembers { member.set(.normal) }
        case .clientFreeze(let direction, let time, let isReset):
            for member in self.kitMembers { member.set(.halfOpen(direction)) }
            self.sleep(for: time)
            for member in self.kitMembers where isReset { member.set(.reset) }
            for member in self.kitMembers { member.set(.normal) }
        }
        self.log("  over")
    }

    private var hooks: FaultHooks {
        FaultHooks(
            wait: { self.sleep(for: $0) },
            awaitTiming: { timing in
                if case .beforeAmendment = timing { self.awaitAmendment() }
                self.journal.startGapMeasurement(self.conversations)
            },
            restartGapMeasurement: { self.journal.restartGapMeasurement() })
    }

    /// Waits for a member's amendment, for at most 5 s.
    private func awaitAmendment() {
        let count = self.journal.plannedAmendments
        let deadline = Deadline(within: .seconds(5))
        while self.journal.plannedAmendments == count, !deadline.isExpired {
            self.sleep(for: .milliseconds(1))
        }
    }

    @discardableResult
    private func awaitMessages(_ description: String, within time: Duration) throws -> Duration? {
        let deadline = Deadline(within: time)
        while !deadline.isExpired {
            if let gap = self.journal.gap {
                let silence = self.journal.silence
                self.log(
                    "  every conversation has resumed after \(seconds(gap)); "
                        + "the longest silence was \(seconds(silence))"
                )
                if gap > Self.reportedGap, let last = self.journal.lastToResume {
                    self.log("  the last one to resume was \(last)")
                }
                return gap
            }
            self.sleep(for: .milliseconds(10))
        }
        self.recordViolation(
            "after \(description) nothing was stored for \(seconds(time)) "
                + "in \(self.journal.waitingConversations.joined(separator: ", "))"
        )
        return nil
    }

    // MARK: Finishing

    /// Lets the members finish, reads all histories from all nodes, and checks them.
    public func finish() throws -> TortureResult {
        self.context.phase = .finishing
        let writers = Set(self.memberPlans.filter { $0.messageInterval != nil }.map(\.name))
        self.wait(for: "have unanswered sends after all faults have ended") {
            writers.subtracting(self.journal.finishedMembers).sorted()
        }
        self.wait(for: "lack messages after all faults have ended") {
            self.journal.check { checker in
                self.memberPlans.filter {
                    checker.position(of: $0.name) < checker.head(of: $0.conversation)
                }.map(\.name)
            }
        }
        for member in self.kitMembers { member.requestView() }
        self.wait(for: "have not reported all messages in their present state") {
            self.kitMembers.compactMap(\.missingView)
        }
        // A node that was frozen executes requests that its sockets had received, and stores
        // reactions a moment later.
        var (bytes, silence) = (0, Deadline(within: .zero))
        self.wait(for: "still change after all faults have ended") {
            if self.journal.frameBytes != bytes {
                (bytes, silence) = (self.journal.frameBytes, Deadline(within: .seconds(1)))
            }
            return silence.isExpired ? [] : ["the conversations"]
        }
        for conversation in self.conversations {
            for node in self.processes.names {
                do {
                    try self.journal.recordEnd(
                        of: conversation, through: node, in: self.processes)
                } catch {
                    self.recordViolation("\(conversation): through \(node): \(error)")
                }
            }
        }
        self.context.phase = .ended
        self.journal.check { $0.checkCompleteness() }
        if let backgroundCluster = self.backgroundCluster {
            for violation in backgroundCluster.finish() {
                self.recordViolation("the other cluster: \(violation)")
            }
        }
        if let brokenAt = self.journal.firstViolationAt {
            self.log(
                "the first violation was observed at \(seconds(brokenAt - self.startedAt))")
        }
        let violationCount = self.journal.violationCount
        self.log(violationCount == 0 ? "no violations" : "\(violationCount) violations")
        var result = TortureResult()
        result.violations = self.journal.violations
        result.violationCount = self.journal.violationCount
        result.messages = self.journal.messageCount
        result.counts = self.journal.counts
        result.gaps = self.gaps
        return result
    }

    /// Writes the logs of nodes, members and Redis, Redis' data, and the log of this run.
    ///
    /// - Parameter folder: nil for one of its own among the temporary files.
    /// - Returns: the folder.
    public func writeLogs(to folder: String? = nil) throws -> String {
        let temporary = FileManager.default.temporaryDirectory.path
        let folder =
            folder ?? "\(temporary)/confab-torture-\(self.settings.seed)-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try self.processes.writeLogs(to: folder)
        try self.backgroundCluster?.processes.writeLogs(to: folder)
        let log = self.logLines + self.journal.violations.map { "VIOLATION \($0)" }
        try log.joined(separator: "\n").write(
            toFile: "\(folder)/story.log", atomically: true, encoding: .utf8)
        for (name, frames) in self.journal.frameLogs {
            try frames.write(toFile: "\(folder)/\(name).log", atomically: true, encoding: .utf8)
        }
        for member in self.kitMembers {
            try member.log.write(
                toFile: "\(folder)/\(member.plan.name).log", atomically: true, encoding: .utf8)
        }
        try self.store.writeLogs(to: folder)
        return folder
    }

    private func wait(for description: String, _ names: () -> [String]) {
        let deadline = Deadline(within: self.resumeTimeout)
        while true {
            let remaining = names()
            if remaining.isEmpty { return }
            if deadline.isExpired {
                return self.recordViolation("\(remaining.joined(separator: ", ")) \(description)")
            }
            self.sleep(for: .milliseconds(20))
        }
    }

    func sleep(for time: Duration) {
        let deadline = Deadline(within: time)
        while !deadline.isExpired { poll(nil, 0, deadline.milliseconds) }
    }

    private func recordViolation(_ text: String) {
        self.log("VIOLATION \(text)")
        self.journal.check { $0.recordViolation(text) }
    }

    func log(_ text: String) {
        let line =
            "\(Date().formatted(.iso8601.time(includingFractionalSeconds: true))) "
            + "\(seconds(.now - self.startedAt)) \(text)"
        self.logLines.append(line)
        self.printLine(line)
    }
}
