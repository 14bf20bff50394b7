import Bytes
import ChatModel
import Cluster

/// A user's device: one connection at a time to one conversation, and what it has been shown on it.
final class SimulatedClient {
    enum State: Equatable {
        case offline
        case joining(RequestNumber)
        case replaying
        case live
    }

    typealias RequestNumber = UInt64

    let number: Int
    let person: Person
    let conversation: ConversationKey
    /// Its token lists the conversation.
    let isListed: Bool

    var state = State.offline
    /// Counts its connections: what was asked on an earlier one is no longer waited for.
    var connection = 0
    var loop = 0
    var feed: FeedID?
    /// The point to resume from; nil before anything was seen.
    var lastSeen: SequenceNumber?
    var resumesAfter: SequenceNumber?
    var screen = ClientScreen()
    var sends = 0
    var hasEdited: Set<SequenceNumber> = []
    /// Its sends on this connection that were answered: when each was asked, and its number.
    var answeredSends: [(asked: UInt64, sequence: SequenceNumber)] = []
    /// It is to be there at the end.
    var mustReturn = false
    /// It says what it has to say at the end, and nothing more.
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

/// What a client's screen shows.
struct ClientScreen {
    /// The newest message shown; the next one must be the next number.
    var through: SequenceNumber = 0
    /// As they came one after the other: a page that was read meanwhile may have been another master's.
    var delivered: [SequenceNumber: Message] = [:]
    /// As they stand on the screen.
    var messages: [SequenceNumber: Message] = [:]
    /// Edits of messages that have not been shown.
    var amendedBeforeDelivery: [SequenceNumber: Message] = [:]
    var online: Set<UserID> = []
    var crowd: Int?
    var typingUsers: Set<UserID> = []
    var isEnded = false
    var deliveredSequences: Set<SequenceNumber> = []
    var readSequences: Set<SequenceNumber> = []
}
