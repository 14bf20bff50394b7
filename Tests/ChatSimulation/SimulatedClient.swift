import Bytes
import ChatCore
import ChatEngine
import ChatModel

/// A user's device: one connection at a time to one conversation, and its screen.
final class SimulatedClient {
    enum State: Equatable {
        case offline
        case joining(RequestID)
        case replaying
        case live
    }

    let number: Int
    let person: Person
    let conversation: ConversationKey
    /// Its token lists the conversation.
    let isListed: Bool

    var state = State.offline
    /// Counts the connections. Answers to requests of an earlier one are ignored.
    var connection = 0
    var loop = 0
    var feed: FeedID?
    /// The position to resume from; nil before the first message.
    var lastSeen: SequenceNumber?
    var resumesAfter: SequenceNumber?
    /// The position of a notice that the next connection enters from.
    var invitation: SequenceNumber?
    var screen = ClientScreen()
    var sends = 0
    /// The newest list of pinned messages that it got, newest pin first.
    var listedPins: [Message]?
    var hasEdited: Set<SequenceNumber> = []
    /// The answered sends of this connection: when each was requested, and its message's number.
    var answeredSends: [(requested: UInt64, sequence: SequenceNumber)] = []
    /// The last request before the newest page of this connection arrived. The client ignores pages
    /// that it requested until then, because pages that are requested at once have no order.
    var lastRequestBeforePage: UInt64 = 0
    /// It must be connected at the end.
    var mustReturn = false
    /// Its final message was answered.
    var hasFinalAnswer = false

    init(number: Int, person: Person, conversation: ConversationKey, isListed: Bool) {
        self.number = number
        self.person = person
        self.conversation = conversation
        self.isListed = isListed
    }

    var name: String { "\(self.person.id)/\(self.number)" }

    var isJoined: Bool { self.state == .replaying || self.state == .live }
}

/// The content of a client's screen.
struct ClientScreen {
    /// The newest message delivered; the next one must have the next number.
    var through: SequenceNumber = 0
    /// Messages in the order of delivery; a page that was read in between may come from another
    /// master.
    var delivered: [SequenceNumber: Message] = [:]
    /// Messages as the screen shows them.
    var messages: [SequenceNumber: Message] = [:]
    /// Edits of messages that were not delivered yet.
    var amendedBeforeDelivery: [SequenceNumber: Message] = [:]
    var online: Set<UserID> = []
    var crowd: Int?
    var typingUsers: Set<UserID> = []
    var isEnded = false
    var deliveredSequences: Set<SequenceNumber> = []
    var readSequences: Set<SequenceNumber> = []
}
