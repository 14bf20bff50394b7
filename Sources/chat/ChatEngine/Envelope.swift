public import ChatCore
public import ChatModel

/// A batch of items from one loop to another, within a node or between nodes.
public struct Envelope: Sendable {
    public let from: LoopID
    public let to: LoopID
    /// 1, 2, 3 … per pair of loops, so that the receiver notices lost envelopes.
    public let number: UInt64
    /// The number of the sender's view. A receiver with an older view learns that a newer one
    /// exists.
    public let view: Int
    /// Empty in a tick, which repeats the last number.
    public var items: [Item]

    public init(from: LoopID, to: LoopID, number: UInt64, view: Int, items: [Item]) {
        self.from = from
        self.to = to
        self.number = number
        self.view = view
        self.items = items
    }

    public enum Item: Sendable {
        /// To an owner: a command of a session, or a loop's state as a subscriber.
        case input(Input)
        /// From an owner: the answer to a request, and the slot in which the owner holds the
        /// conversation.
        case answer(RequestID, ChatAnswer, slot: UInt32)
        /// From a loop that does not own the request's conversation, by its own view.
        case notOwner(RequestID)
        /// From an owner to a subscribed loop.
        case event(EventNotification)
        /// From an owner that has lost its subscriber list of a conversation, or has not sent it
        /// every event.
        case reattach(ConversationKey)
        /// From a loop that missed envelopes from the receiver: attach again to every conversation
        /// that the sender owns.
        case resynchronize
        /// From an owner whose store has lost data: loops that retain changes of the conversation
        /// offer them.
        case recoveryQuery(ConversationKey)

        /// Whether it is a stored change. Its revision prevents it from being applied twice.
        var isDurableEvent: Bool {
            if case .event(let event) = self { event.revision != 0 } else { false }
        }

        /// Whether it can be lost without a retry, because the repair of the gap restores the
        /// current state.
        var isEphemeral: Bool {
            switch self {
            case .event(let event): event.revision == 0
            case .input(let input): if case .delivered = input.input { true } else { false }
            default: false
            }
        }

        /// The slot in which the receiving owner holds the conversation; `.max` if unknown.
        var ownerSlot: UInt32 {
            if case .input(let input) = self { input.ownerSlot } else { .max }
        }

        /// The slot in which the receiving subscriber holds its feed; `.max` if unknown.
        var feedSlot: UInt32 {
            if case .event(let event) = self { event.feedSlot } else { .max }
        }
    }

    /// An input for a conversation's owner.
    ///
    /// The slots are hints from earlier envelopes. They save a lookup; the receiver compares the
    /// key before it uses them. `UInt32.max` means unknown.
    public struct Input: Sendable {
        public let conversation: ConversationKey
        public let input: ConversationInput
        /// 0 if no answer is needed.
        public let request: RequestID
        /// It was sent before, and may have been executed.
        public let isRetry: Bool
        public let ownerSlot: UInt32
        public let feedSlot: UInt32
        public let sendOrder: SendOrder
        /// See `Message.acceptedAt`.
        public let acceptedAt: Int64

        public init(
            conversation: ConversationKey, input: ConversationInput, request: RequestID = 0,
            isRetry isRepeat: Bool = false,
            ownerSlot ownerPlace: UInt32 = .max, feedSlot feedPlace: UInt32 = .max,
            sendOrder turn: SendOrder = .none, acceptedAt: Int64 = 0
        ) {
            self.conversation = conversation
            self.input = input
            self.request = request
            self.isRetry = isRepeat
            self.ownerSlot = ownerPlace
            self.feedSlot = feedPlace
            self.sendOrder = turn
            self.acceptedAt = acceptedAt
        }
    }

    public struct EventNotification: Sendable {
        public let conversation: ConversationKey
        public let event: ChatEvent
        /// 0 for an event that is not a durable change.
        public let revision: Revision
        /// The receiver's request that caused it, or 0.
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
