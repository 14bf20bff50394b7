public import ChatModel

/// What reaches a conversation: what a session asks, and what a loop tells of its listeners.
public enum ConversationInput: Sendable {
    case command(ChatCommand)
    /// The last connection of this user on that loop no longer hears the conversation.
    case unsubscribe(UserID)
    /// A loop that has listeners says what it knows: after a gap, after the owner's death.
    case attach(Attachment)
    /// A loop has no listeners any more.
    case detach
    /// A socket of this user's has taken these messages.
    case delivered(UserID, ClosedRange<SequenceNumber>)
    /// A former owner says what it holds of its time, oldest first: the store may have forgotten it.
    case offerRetained([RetainedWrite])

    /// It asks what has been sent before, or who has had it.
    var needsRecents: Bool {
        switch self {
        case .command(.post), .command(.read), .command(.readThrough), .delivered: true
        default: false
        }
    }

    /// What a former owner holds.
    var offeredWrites: [RetainedWrite]? {
        if case .offerRetained(let changes) = self { changes } else { nil }
    }

    var isOffer: Bool {
        if case .offerRetained = self { true } else { false }
    }

    /// It says something, and has its place among what else is said.
    public var isSend: Bool { if case .command(.post) = self { true } else { false } }

    /// It takes somebody away. Nothing has to be known for that: where nothing is known nobody is present.
    public var isDeparture: Bool {
        switch self {
        case .unsubscribe, .detach: true
        default: false
        }
    }
}

/// A loop's knowledge of a conversation that it listens to.
public struct Attachment: Sendable {
    /// Who hears the conversation through this loop.
    public let present: [Person]
    /// Who has asked to and not been answered: perhaps let in already.
    public let joining: [Person]
    /// Whom the loop has been told to be online.
    public let knownOnline: [Person]
    /// What the loop reported last of messages that its sockets have taken: the report may be what was lost.
    public let delivered: [DeliveryReport]
    /// The newest change and message that it has shown: an owner who knows less is behind, or the store is.
    public let revision: Revision
    public let head: SequenceNumber

    public init(
        present: [Person], joining entering: [Person] = [], knownOnline heard: [Person] = [],
        delivered: [DeliveryReport] = [], revision: Revision = 0,
        head through: SequenceNumber = 0
    ) {
        self.present = present
        self.joining = entering
        self.knownOnline = heard
        self.delivered = delivered
        self.revision = revision
        self.head = through
    }
}

/// A socket of this user's has taken these messages.
public struct DeliveryReport: Sendable, Equatable {
    public let user: UserID
    public var range: ClosedRange<SequenceNumber>

    public init(user: UserID, range: ClosedRange<SequenceNumber>) {
        self.user = user
        self.range = range
    }
}
