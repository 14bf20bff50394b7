public import ChatModel

/// An input to a conversation: a session's command, or a loop's report about its subscribers.
public enum ConversationInput: Sendable {
    case command(ChatCommand)
    /// The last connection of this user on that loop has unsubscribed.
    case unsubscribe(UserID)
    /// A loop reports its subscribers, after a gap or a change of owners.
    case attach(Attachment)
    /// The loop has no subscribers any more.
    case detach
    /// A socket of this user has received these messages.
    case delivered(UserID, ClosedRange<SequenceNumber>)
    /// A former owner offers the changes that it has retained, oldest first. The store may have
    /// lost them.
    case offerRetained([RetainedWrite])

    /// Whether the input depends on earlier sends or on their receipts.
    var needsRecents: Bool {
        switch self {
        case .command(.post), .command(.read), .command(.readThrough), .delivered: true
        default: false
        }
    }

    /// The changes that a former owner offers.
    var offeredWrites: [RetainedWrite]? {
        if case .offerRetained(let changes) = self { changes } else { nil }
    }

    var isOffer: Bool {
        if case .offerRetained = self { true } else { false }
    }

    /// Whether the input is a send, which has a position among the other sends.
    public var isSend: Bool { if case .command(.post) = self { true } else { false } }

    /// Whether the input ends a user's presence. It needs no loaded state, because an unloaded
    /// conversation has no presence.
    public var isDeparture: Bool {
        switch self {
        case .unsubscribe, .detach: true
        default: false
        }
    }
}

/// A loop's knowledge of a conversation that it subscribes to.
public struct Attachment: Sendable {
    /// Users with a subscribed connection on this loop.
    public let present: [Person]
    /// Users whose join is not answered yet. The previous owner may have admitted them.
    public let joining: [Person]
    /// Users that the loop knows to be online.
    public let knownOnline: [Person]
    /// The loop's last reports of delivered messages: the previous owner may not have received
    /// them.
    public let delivered: [DeliveryReport]
    /// The newest change and message that the loop has delivered. If the owner knows less, the
    /// owner or the store is behind.
    public let revision: Revision
    public let head: SequenceNumber

    public init(
        present: [Person], joining: [Person] = [], knownOnline: [Person] = [],
        delivered: [DeliveryReport] = [], revision: Revision = 0,
        head: SequenceNumber = 0
    ) {
        self.present = present
        self.joining = joining
        self.knownOnline = knownOnline
        self.delivered = delivered
        self.revision = revision
        self.head = head
    }
}

/// Messages that a socket of this user has received.
public struct DeliveryReport: Sendable, Equatable {
    public let user: UserID
    public var range: ClosedRange<SequenceNumber>

    public init(user: UserID, range: ClosedRange<SequenceNumber>) {
        self.user = user
        self.range = range
    }
}
