public import ChatCore
public import ChatModel

/// What travels between two loops, of one node or of two: the same letter and the same road for both.
public struct Envelope: Sendable {
    public let from: LoopID
    public let to: LoopID
    /// 1, 2, 3 … for this pair, so that the receiver sees what never came.
    public let number: UInt64
    /// The number of the sender's view: a receiver whose own is older learns that there is another.
    public let view: Int
    /// Empty in a tick, which repeats the last number and takes none.
    public var items: [Item]

    public init(from: LoopID, to: LoopID, number: UInt64, view: Int, items: [Item]) {
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
        case answer(RequestID, ChatAnswer, slot: UInt32)
        /// From somebody who does not own what a request is for, by its own view.
        case notOwner(RequestID)
        /// From an owner to a loop that listens.
        case event(EventNotification)
        /// From an owner that has lost what it knew of a conversation's listeners, or has not told them everything.
        case reattach(ConversationKey)
        /// From anybody who has missed envelopes of yours: attach again whatever I own.
        case resynchronize
        /// From an owner whose store has forgotten something of a conversation: who holds changes of it is to offer them.
        case recoveryQuery(ConversationKey)

        /// Of a change that is stored, and that its revision lets nobody take in twice.
        var isDurableEvent: Bool {
            if case .event(let news) = self { news.revision != 0 } else { false }
        }

        /// Nobody asks for it again where it is lost: the repair of the gap that it leaves says what holds.
        var isEphemeral: Bool {
            switch self {
            case .event(let news): news.revision == 0
            case .input(let input): if case .delivered = input.input { true } else { false }
            default: false
            }
        }

        /// Where the owner that it is for has the conversation; `.max` is nowhere.
        var ownerSlot: UInt32 {
            if case .input(let input) = self { input.ownerSlot } else { .max }
        }

        /// Where the listener that it is for has its feed; `.max` is nowhere.
        var feedSlot: UInt32 {
            if case .event(let news) = self { news.feedSlot } else { .max }
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
        public let isRetry: Bool
        public let ownerSlot: UInt32
        public let feedSlot: UInt32
        public let sendOrder: SendOrder

        public init(
            conversation: ConversationKey, input: ConversationInput, request: RequestID = 0,
            isRetry isRepeat: Bool = false,
            ownerSlot ownerPlace: UInt32 = .max, feedSlot feedPlace: UInt32 = .max,
            sendOrder turn: SendOrder = .none
        ) {
            self.conversation = conversation
            self.input = input
            self.request = request
            self.isRetry = isRepeat
            self.ownerSlot = ownerPlace
            self.feedSlot = feedPlace
            self.sendOrder = turn
        }
    }

    public struct EventNotification: Sendable {
        public let conversation: ConversationKey
        public let event: ChatEvent
        /// 0 for what is no durable change.
        public let revision: Revision
        /// The request of the receiver's that asked for it, or 0.
        public let answering: RequestID
        public let feedSlot: UInt32

        public init(
            conversation: ConversationKey, event: ChatEvent, revision: Revision,
            answering: RequestID, feedSlot feedPlace: UInt32
        ) {
            self.conversation = conversation
            self.event = event
            self.revision = revision
            self.answering = answering
            self.feedSlot = feedPlace
        }
    }
}
