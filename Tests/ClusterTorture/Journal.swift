import Synchronization

/// What all members of a torture tell, from their threads: for the checker, for the counts, and for how long conversations stood still.
public final class Journal: Sendable {
    /// What there is to be told at the end.
    public struct TortureCounts: Sendable {
        /// Sends that were answered, each once.
        public var answered = 0
        /// Edits and deletions that were answered.
        public var amended = 0
        /// Answers that a send is not done and never will be; half of them were tried again.
        public var refused = 0
        /// Sends whose outcome was said to be unknown, or whose connection ended or was given up before the answer; they were sent again.
        public var unknown = 0
        /// Connections that were made after the first.
        public var reconnects = 0
        /// Why connections ended that no member wanted to end, and what errors said.
        public var failureReasons: [String: Int] = [:]
    }

    /// Something that stops conversations for a while, or should not.
    private struct GapMeasurement {
        let begin: ContinuousClock.Instant
        /// What was sent earlier does not count.
        var since: ContinuousClock.Instant
        var heads: [String: Int]
        var waitingConversations: Set<String>
        var gap: Duration?
        /// When each of them took its last message, and the longest time that one of them took none.
        var lastAt: [String: ContinuousClock.Instant] = [:]
        var silence = Duration.zero
        /// The conversation that was waited for longest.
        var lastConversation = ""
        /// The nodes that each member has tried: where it was when it began, and where it went since.
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
        /// When the first violation was seen.
        var firstViolationAt: ContinuousClock.Instant?
        var checker = HistoryChecker()
        var counts = TortureCounts()
        var measurement: GapMeasurement?
        var finishedMembers: Set<String> = []
        var plannedAmendments = 0
        /// Where each member is, or was last.
        var currentNodes: [String: String] = [:]
    }

    private let state = Mutex(State())

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

    func recordFailure(_ why: String) { self.count { $0.failureReasons[why, default: 0] += 1 } }

    /// A member was shown a message.
    ///
    /// - Parameter asked: when the member sent it for the last time, where it is an answer that was waited for.
    func recordDelivery(
        _ message: HistoryChecker.ReceivedMessage, _ member: String, in conversation: String,
        sentAt asked: ContinuousClock.Instant?
    ) {
        let now = ContinuousClock.now
        self.state.withLock { state in
            state.checker.recordDelivery(message, reader: member)
            if state.firstViolationAt == nil, state.checker.violationCount > 0 {
                state.firstViolationAt = now
            }
            guard let asked else { return }
            state.counts.answered += 1
            // What was under way when it began, or repeats something older, says nothing about how it is now.
            guard var watch = state.measurement, asked >= watch.since,
                message.number > watch.heads[conversation, default: 0]
            else { return }
            watch.recordMessage(in: conversation, at: now)
            state.measurement = watch
        }
    }

    /// When somebody heard for the first time what should not be.
    var firstViolationAt: ContinuousClock.Instant? { self.state.withLock { $0.firstViolationAt } }

    /// A member has the answer to a message, and is about to edit or delete it.
    func recordPlannedAmendment() { self.state.withLock { $0.plannedAmendments += 1 } }

    var plannedAmendments: Int { self.state.withLock { $0.plannedAmendments } }

    // MARK: Gaps

    /// From here on each of the conversations has to take a message.
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

    /// From here on all of them have to take a message once more; the gap is still counted from the first time.
    func restartGapMeasurement() {
        self.state.withLock { state in
            guard var watch = state.measurement else { return }
            watch.since = .now
            watch.waitingConversations = Set(watch.heads.keys)
            for conversation in watch.heads.keys {
                watch.heads[conversation] = state.checker.head(of: conversation)
            }
            watch.gap = nil
            state.measurement = watch
        }
    }

    /// How long it took until each of them had; nil while some have not.
    var gap: Duration? { self.state.withLock { $0.measurement?.gap } }

    /// The longest time that one of them took none, so far.
    var silence: Duration { self.state.withLock { $0.measurement?.silence ?? .zero } }

    /// The conversation that was waited for longest, and where its members were and went meanwhile.
    var lastToResume: String? {
        self.state.withLock { state in
            guard let watch = state.measurement, watch.gap != nil else { return nil }
            let ways = watch.triedNodes.filter { $0.key.hasPrefix("\(watch.lastConversation)-") }
                .sorted { $0.key < $1.key }
            return "\(watch.lastConversation) ("
                + ways.map { "\($0.key): \($0.value.joined(separator: " "))" }.joined(
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

    // MARK: The end

    /// Everything that this member has sent is answered.
    func recordFinished(_ member: String) {
        self.state.withLock { _ = $0.finishedMembers.insert(member) }
    }

    var finishedMembers: Set<String> { self.state.withLock { $0.finishedMembers } }
}
