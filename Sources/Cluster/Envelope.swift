public import ChatCore
public import ChatModel

/// What travels between two loops, of one node or of two: the same letter and the same road for both.
public struct Envelope: Sendable {
    public let from: OwnerID
    public let to: OwnerID
    /// 1, 2, 3 … for this pair, so that the receiver sees what never came.
    public let number: UInt64
    /// The number of the sender's view: a receiver whose own is older learns that there is another.
    public let view: Int
    /// Empty in a tick, which repeats the last number and takes none.
    public var items: [Item]

    public init(from: OwnerID, to: OwnerID, number: UInt64, view: Int, items: [Item]) {
        self.from = from
        self.to = to
        self.number = number
        self.view = view
        self.items = items
    }

    public enum Item: Sendable {
        /// For an owner: what a session asks, or what a loop tells of its listeners.
        case input(Input)
        /// From an owner: the answer to a request, and where the owner has the conversation.
        case answer(RequestID, ChatAnswer, place: UInt32)
        /// From somebody who does not own what a request is for, by its own view.
        case moved(RequestID)
        /// From an owner to a loop that listens.
        case event(News)
        /// From an owner that has lost what it knew of a conversation's listeners, or has not told them everything.
        case attachAgain(ConversationKey)
        /// From anybody who has missed envelopes of yours: attach again whatever I own.
        case resynchronize
        /// From an owner whose store has forgotten something of a conversation: who holds changes of it is to offer them.
        case wanted(ConversationKey)

        /// Of a change that is stored, and that its revision lets nobody take in twice.
        var isDurableNews: Bool {
            if case .event(let news) = self { news.revision != 0 } else { false }
        }

        /// Nobody asks for it again where it is lost: the repair of the gap that it leaves says what holds.
        var isByTheWay: Bool {
            switch self {
            case .event(let news): news.revision == 0
            case .input(let input): if case .delivered = input.input { true } else { false }
            default: false
            }
        }

        /// Where the owner that it is for has the conversation; `.max` is nowhere.
        var ownerPlace: UInt32 {
            if case .input(let input) = self { input.ownerPlace } else { .max }
        }

        /// Where the listener that it is for has its feed; `.max` is nowhere.
        var feedPlace: UInt32 {
            if case .event(let news) = self { news.feedPlace } else { .max }
        }
    }

    /// Where the other side has the conversation is said as it was last known, which spares it a search; it compares the
    /// key before it believes it. `UInt32.max` is nowhere.
    public struct Input: Sendable {
        public let conversation: ConversationKey
        public let input: ConversationInput
        /// 0 wants no answer.
        public let request: RequestID
        /// It was asked before, and may have been done.
        public let isRepeat: Bool
        public let ownerPlace: UInt32
        public let feedPlace: UInt32
        public let turn: Turn

        public init(
            conversation: ConversationKey, input: ConversationInput, request: RequestID = 0, isRepeat: Bool = false,
            ownerPlace: UInt32 = .max, feedPlace: UInt32 = .max, turn: Turn = .none
        ) {
            self.conversation = conversation
            self.input = input
            self.request = request
            self.isRepeat = isRepeat
            self.ownerPlace = ownerPlace
            self.feedPlace = feedPlace
            self.turn = turn
        }
    }

    public struct News: Sendable {
        public let conversation: ConversationKey
        public let event: ChatEvent
        /// 0 for what is no durable change.
        public let revision: Revision
        /// The request of the receiver's that asked for it, or 0.
        public let answering: RequestID
        public let feedPlace: UInt32

        public init(conversation: ConversationKey, event: ChatEvent, revision: Revision, answering: RequestID, feedPlace: UInt32) {
            self.conversation = conversation
            self.event = event
            self.revision = revision
            self.answering = answering
            self.feedPlace = feedPlace
        }
    }
}
