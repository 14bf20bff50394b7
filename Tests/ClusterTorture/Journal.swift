import Foundation
import Synchronization

/// The observations of all members, from their threads. It feeds the checker, the counts, and the
/// measurement of interruptions.
public final class Journal: Sendable {
    /// The counts for the final report.
    public struct TortureCounts: Sendable {
        /// Answered sends, each counted once.
        public var answered = 0
        /// Answered edits and deletions.
        public var amended = 0
        /// Answered reactions, pins and searches.
        public var features = 0
        /// Answers that a message was refused; the members retry half of them.
        public var refused = 0
        /// Sends with an unknown outcome: the server said so, or the connection ended before the
        /// answer. The members retry them.
        public var unknown = 0
        /// Connections after each member's first one.
        public var reconnects = 0
        /// Rounds of the `EntryMember`.
        public var entries = 0
        /// The reasons of unexpected disconnections, and the texts of errors.
        public var failureReasons: [String: Int] = [:]
        /// What hostile clients did, and how often a node refused to go on with it.
        public var hostileActs: [HostileAct: Int] = [:]
        public var refusedActs: [HostileAct: Int] = [:]
    }

    /// The measurement of how long a fault interrupts the conversations.
    private struct GapMeasurement {
        let begin: ContinuousClock.Instant
        /// Messages sent before this time do not count.
        var since: ContinuousClock.Instant
        var heads: [String: Int]
        var waitingConversations: Set<String>
        var gap: Duration?
        /// The time of each conversation's last message, and the longest time without one.
        var lastAt: [String: ContinuousClock.Instant] = [:]
        var silence = Duration.zero
        /// The conversation that resumed last.
        var lastConversation = ""
        /// The nodes that each member tried, starting with the one at the beginning.
        var triedNodes: [String: [String]]

        mutating func recordMessage(in conversation: String, at now: ContinuousClock.Instant) {
            self.silence = max(self.silence, now - self.lastAt[conversation, default: self.begin])
            self.lastAt[conversation] = now
            self.waitingConversations.remove(conversation)
            guard self.waitingConversations.isEmpty, self.gap == nil else { return }
            self.gap = now - self.begin
            self.lastConversation = conversation
        }
    }

    private struct State {
        /// The time of the first violation.
        var firstViolationAt: ContinuousClock.Instant?
        var checker: HistoryChecker
        var counts = TortureCounts()
        /// The times from the members' sends to their answers, since they were last taken.
        var answerTimes: [Duration] = []
        var measurement: GapMeasurement?
        var finishedMembers: Set<String> = []
        var plannedAmendments = 0
        /// The current or last node of each member.
        var currentNodes: [String: String] = [:]
    }

    private let state: Mutex<State>
    /// The frames of each member, with their times.
    private let frames = Mutex<[String: String]>([:])

    public init(of store: StoreMode) {
        let checker = HistoryChecker(mayDiscardChanges: store.hasReplicas)
        self.state = Mutex(State(checker: checker))
    }

    public var counts: TortureCounts { self.state.withLock { $0.counts } }
    public var violations: [String] { self.state.withLock { $0.checker.violations } }
    public var violationCount: Int { self.state.withLock { $0.checker.violationCount } }
    public var messageCount: Int { self.state.withLock { $0.checker.messageCount } }

    func count(_ change: (inout TortureCounts) -> Void) {
        self.state.withLock { change(&$0.counts) }
    }
    func check<Answer: Sendable>(_ change: (inout HistoryChecker) -> Answer) -> Answer {
        self.state.withLock { change(&$0.checker) }
    }

    /// Records a frame for the logs.
    ///
    /// - Parameter label: the direction of the frame, or what happened to the connection.
    func recordFrame(_ frame: String, _ label: String, of member: String) {
        let time = Date().formatted(.iso8601.time(includingFractionalSeconds: true))
        let line = "\(time) \(label) \(frame)\n"
        self.frames.withLock { $0[member, default: ""] += line }
    }

    /// The recorded frames of each member, a line for each.
    var frameLogs: [String: String] { self.frames.withLock { $0 } }

    /// How much all members have sent and received.
    var frameBytes: Int {
        self.frames.withLock { $0.values.reduce(0) { $0 + $1.utf8.count } }
    }

    func recordFailure(_ reason: String) {
        self.count { $0.failureReasons[reason, default: 0] += 1 }
    }

    /// A member received a message.
    ///
    /// - Parameter sentAt: the time of the member's last attempt, if this answers its send.
    func recordDelivery(
        _ message: HistoryChecker.ReceivedMessage, _ member: String, in conversation: String,
        sentAt: ContinuousClock.Instant?
    ) {
        let now = ContinuousClock.now
        self.state.withLock { state in
            state.checker.recordDelivery(message, reader: member)
            if state.firstViolationAt == nil, state.checker.violationCount > 0 {
                state.firstViolationAt = now
            }
            guard let sentAt else { return }
            state.counts.answered += 1
            state.answerTimes.append(now - sentAt)
            // An older send, or a repeat of an older message, does not show that the conversation
            // works now.
            guard var measurement = state.measurement, sentAt >= measurement.since,
                message.number > measurement.heads[conversation, default: 0]
            else { return }
            measurement.recordMessage(in: conversation, at: now)
            state.measurement = measurement
        }
    }

    /// A kit reported that its message is stored. The judge has checked it.
    func recordAnswer(in conversation: String, sentAt: ContinuousClock.Instant) {
        let now = ContinuousClock.now
        self.state.withLock { state in
            state.counts.answered += 1
            guard sentAt >= state.measurement?.since ?? now else { return }
            state.measurement?.recordMessage(in: conversation, at: now)
        }
    }

    /// The time of the first violation.
    var firstViolationAt: ContinuousClock.Instant? { self.state.withLock { $0.firstViolationAt } }

    /// A member's message is answered, and it is about to edit or delete the message.
    func recordPlannedAmendment() { self.state.withLock { $0.plannedAmendments += 1 } }

    var plannedAmendments: Int { self.state.withLock { $0.plannedAmendments } }

    /// Returns the times from the members' sends to their answers since the last call.
    func takeAnswerTimes() -> [Duration] {
        self.state.withLock { state in
            defer { state.answerTimes = [] }
            return state.answerTimes
        }
    }

    // MARK: Gaps

    /// Starts a measurement: each of the conversations has to store a message.
    func startGapMeasurement(_ conversations: [String]) {
        self.state.withLock { state in
            let heads = Dictionary(
                uniqueKeysWithValues: conversations.map { ($0, state.checker.head(of: $0)) })
            let now = ContinuousClock.now
            state.measurement = GapMeasurement(
                begin: now, since: now, heads: heads, waitingConversations: Set(conversations),
                triedNodes: state.currentNodes.mapValues { [$0] })
        }
    }

    /// Requires one more message from each conversation. The gap still counts from the start.
    func restartGapMeasurement() {
        self.state.withLock { state in
            guard var measurement = state.measurement else { return }
            measurement.since = .now
            measurement.waitingConversations = Set(measurement.heads.keys)
            for conversation in measurement.heads.keys {
                measurement.heads[conversation] = state.checker.head(of: conversation)
            }
            measurement.gap = nil
            state.measurement = measurement
        }
    }

    /// The time until all conversations had stored a message; nil if some have not.
    var gap: Duration? { self.state.withLock { $0.measurement?.gap } }

    /// The longest time without a message in one conversation so far.
    var silence: Duration { self.state.withLock { $0.measurement?.silence ?? .zero } }

    /// The conversation that resumed last, with the nodes that its members tried.
    var lastToResume: String? {
        self.state.withLock { state in
            guard let measurement = state.measurement, measurement.gap != nil else { return nil }
            let nodes = measurement.triedNodes.filter {
                $0.key.hasPrefix("\(measurement.lastConversation)-")
            }
            .sorted { $0.key < $1.key }
            return "\(measurement.lastConversation) ("
                + nodes.map { "\($0.key): \($0.value.joined(separator: " "))" }.joined(
                    separator: ", ") + ")"
        }
    }

    /// A member tries to connect to a node.
    func recordConnectionAttempt(of member: String, to node: String) {
        self.state.withLock { state in
            state.currentNodes[member] = node
            state.measurement?.triedNodes[member, default: []].append(node)
        }
    }

    var waitingConversations: [String] {
        self.state.withLock { $0.measurement?.waitingConversations.sorted() ?? [] }
    }

    // MARK: Finishing

    /// All sends of this member are answered.
    func recordFinished(_ member: String) {
        self.state.withLock { _ = $0.finishedMembers.insert(member) }
    }

    var finishedMembers: Set<String> { self.state.withLock { $0.finishedMembers } }
}
