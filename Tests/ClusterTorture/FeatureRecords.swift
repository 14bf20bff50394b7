/// What clients observed of reactions, pins, replies, mentions and search.
struct FeatureRecords: Sendable {
    /// A reaction of one member to one message.
    struct ReactionKey: Hashable {
        let number: Int
        let emoji: String
        let member: String
    }

    /// The requests of a member for one reaction, all for the same state or not.
    struct ReactionRequests {
        /// The state that the server acknowledged last; nil before that.
        var acknowledged: Bool?
        /// Attempts without an answer, by state. A frozen node may execute them at any time.
        var open: [Bool: Int] = [:]
        var hasRequestedOn = false
    }

    /// A state with the revision at which it was observed.
    struct Observed<Value: Sendable & Equatable>: Sendable {
        var value: Value
        var rev: Int
    }

    /// What a reader has received of a message, each part in its newest state.
    struct ReaderView {
        var reactions: [Int: Observed<[String: Set<String>]>] = [:]
        var pins: [Int: Observed<Bool>] = [:]
        var deleted: Set<Int> = []
    }

    var reactions: [String: [ReactionKey: ReactionRequests]] = [:]
    /// The newest pin state that any reader observed, by conversation and message.
    var pins: [String: [Int: Observed<Bool>]] = [:]
    /// What messages refer to, as their authors sent them.
    var references: [HistoryChecker.MemberSend: MessageReferences] = [:]
    var views: [String: ReaderView] = [:]
    /// What kits have loaded at the end: only the number of users of each emoji.
    var kitViews: [String: [Int: ReceivedFeatures]] = [:]
    /// By conversation and node: the complete history, by number.
    var histories: [String: [String: [Int: ReceivedFeatures]]] = [:]
    /// By conversation and node: the messages that the search for a word of all messages found.
    var searches: [String: [String: Set<Int>]] = [:]
}

/// What a message has beside its text, as a client received it.
public struct ReceivedFeatures: Sendable, Equatable {
    public var replyTo: Int?
    public var thread: Int?
    /// The text of the message replied to; nil if it is gone.
    public var excerpt: String?
    public var mentions: [String] = []
    /// The users of each emoji; those beyond the first 20 are not known.
    public var reactions: [String: Set<String>] = [:]
    public var counts: [String: Int] = [:]
    public var isPinned = false

    public init() {}
}
