import Bytes
import ChatCore
import ChatModel

/// The conversations that a loop owns: loads them when they are first needed, numbers what is said, batches what is
/// to be stored, and lets answers and events go when it is.
struct ShardOwner: Sendable {
    struct ConversationSlot: Sendable {
        let key: ConversationKey
        /// Of the shard, since the conversation was last loaded.
        var epoch: Epoch = 0
        var lastUsed: Int64
        let shard: Int32
        /// Which of the conversations it is that stood here.
        let generation: UInt32
        /// How often what was known of the store's side had to be given up: what was asked before is of no use after.
        var loadTerm: UInt32 = 0
        var isUsed = true
        /// The newest change that other nodes hear of as soon as the store has it.
        var publishedThrough: Revision = 0
        // Last, for what every message touches stands at its beginning: one stretch of memory with the above.
        var conversation: Conversation

        init(key: ConversationKey, conversation: Conversation, lastUsed: Int64, generation: UInt32)
        {
            self.key = key
            self.lastUsed = lastUsed
            self.shard = Int32(Shard.of(key))
            self.generation = generation
            self.conversation = conversation
        }

        /// What a message touches of a slot.
        static var hotBytes: Int {
            MemoryLayout<Self>.offset(of: \.conversation)! + Conversation.hotBytes
        }
    }

    struct ConversationReference: Sendable, Hashable {
        let slot: UInt32
        let generation: UInt32
    }

    /// A conversation, and since when what is asked for it is of use.
    struct StoreContinuation: Sendable {
        let conversation: ConversationReference
        let loadTerm: UInt32
    }

    /// Whose a write of a batch is.
    struct WriteContext: Sendable {
        let continuation: StoreContinuation
        let origin: RequestOrigin?
        /// Loops of other nodes that hear of it in the step that stores it.
        var alreadyNotified = LoopSet()
    }

    enum ShardState: Sendable {
        case claiming([StoreContinuation])
        case held(Epoch)
    }

    /// What a store answer is for.
    enum StoreRequestPurpose: Sendable {
        case claim(shard: Int)
        case load(StoreContinuation)
        case loadRecents(StoreContinuation)
        case lookUp(StoreContinuation, SequenceNumber, MessageLookup)
        case readHistory(StoreContinuation)
        case write([Write], [WriteContext])
    }

    /// Envelopes to or from a loop were lost: the conversations that it heard are its own no longer unless it says so in time.
    struct SuspectedSubscriber: Sendable {
        let loop: LoopID
        var conversations: Set<ConversationReference>
        let deadline: Int64
    }

    let id: LoopID
    let limits: ChatLimits
    private(set) var view: View
    private let rules: ConversationRules
    var slots: [ConversationSlot] = []
    private var index = SlotIndex()
    private var free: [UInt32] = []
    var shards: [Int: ShardState] = [:]
    var pendingRequests: [StoreTicket: StoreRequestPurpose] = [:]
    var batch: [Write] = []
    var writeContexts: [WriteContext] = []
    /// Writes that the store has and has not answered.
    var writesInFlight = 0
    /// Until when the store is spared, because it has just failed.
    var writesUnavailableUntil: Int64 = 0
    var readsUnavailableUntil: Int64 = 0
    var timers = TimerHeap()
    var effects: [ConversationEffect] = []
    /// Who has heard of this change from the store's step already.
    var alreadyNotified: (revision: Revision, loops: LoopSet) = (0, LoopSet())
    var suspectedSubscribers: [SuspectedSubscriber] = []
    /// Of conversations that were let go; oldest first.
    var retainedHistories: [RetainedHistory] = []
    /// So many of them were offered to nobody while the store was in doubt.
    var unofferedCount = 0
    /// Until when what is let go may be what the store has just forgotten.
    var storeInDoubtUntil: Int64 = .min
    /// What was done about what the store had forgotten.
    var recoveryCounts = RecoveryCounts()
    var sweepIndex = 0
    /// Above this many writes that the store has not answered, sends are told to try again.
    static let writesInFlightLimit = 65_536
    static let storeBackoff: Int64 = 250
    static let suspicionMilliseconds: Int64 = 5000

    init(id: LoopID, view: View, limits: ChatLimits) {
        self.id = id
        self.view = view
        self.limits = limits
        self.rules = ConversationRules(limits)
    }

    /// Another owner in the same loop, who keeps what the last one kept.
    init(id: LoopID, view: View, limits: ChatLimits, replacing last: ShardOwner) {
        self.init(id: id, view: view, limits: limits)
        self.retainedHistories = last.retainedHistories
        self.unofferedCount = last.unofferedCount
        self.storeInDoubtUntil = last.storeInDoubtUntil
        self.recoveryCounts = last.recoveryCounts
    }

    var conversationCount: Int { self.index.count }

    // MARK: What comes in

    mutating func handle(
        _ input: Envelope.Input, from loop: LoopID, at now: ClockReading, outbox: inout Outbox
    ) {
        guard
            let number = self.find(input) ?? self.open(input, from: loop, at: now, outbox: &outbox)
        else { return }
        let slot = Int(number)
        if !self.suspectedSubscribers.isEmpty {
            self.reviewSuspicion(of: loop, number, input, outbox: &outbox)
        }
        self.slots[slot].lastUsed = now.monotonic
        guard self.slots[slot].conversation.accepts(input.sendOrder, from: loop) else {
            outbox.send(.answer(input.request, .failed(.unavailable), slot: number), to: loop)
            return
        }
        self.slots[slot].conversation.areWritesUnavailable =
            now.monotonic < self.writesUnavailableUntil
            || self.writesInFlight >= Self.writesInFlightLimit
        let origin = RequestOrigin(
            loop: loop, request: input.request, isRetry: input.isRetry, feedSlot: input.feedSlot)
        var effects = self.takeEffectBuffer()
        self.slots[slot].conversation.handle(input.input, from: origin, at: now, into: &effects)
        self.run(&effects, of: number, at: now, outbox: &outbox)
    }

    /// A conversation that stands here, if the place is right, will be asked for something in this turn.
    func prefetch(_ place: UInt32) {
        if Int(place) < self.slots.count {
            Prefetch.element(Int(place), of: self.slots, bytes: ConversationSlot.hotBytes)
        }
    }

    /// The same for what its slot points to, which has to be there by then.
    mutating func prefetchConversation(_ place: UInt32) {
        if Int(place) < self.slots.count { self.slots[Int(place)].conversation.prefetch() }
    }

    private func find(_ input: Envelope.Input) -> UInt32? {
        let place = Int(input.ownerSlot)
        if place < self.slots.count, self.slots[place].isUsed,
            self.slots[place].key == input.conversation
        {
            return input.ownerSlot
        }
        return self.index.slot(hash: input.conversation.hash) {
            self.slots[Int($0)].key == input.conversation
        }
    }

    /// Where a conversation stands; nil where it is not in memory.
    func slot(of key: ConversationKey) -> UInt32? {
        self.index.slot(hash: key.hash) { self.slots[Int($0)].key == key }
    }

    /// Nil where there is nothing to be done here.
    private mutating func open(
        _ input: Envelope.Input, from loop: LoopID, at now: ClockReading, outbox: inout Outbox
    ) -> UInt32? {
        // Of a conversation that is not here nobody is known to listen: there is nobody to take away.
        guard !input.input.isDeparture else { return nil }
        let key = input.conversation
        // What is here is this loop's own: `follow` lets go of everything else.
        guard self.view.owner(of: key) == self.id else {
            if input.request != 0 { outbox.send(.notOwner(input.request), to: loop) }
            return nil
        }
        let number = self.free.popLast() ?? UInt32(self.slots.count)
        let isNew = Int(number) == self.slots.count
        let slot = ConversationSlot(
            key: key, conversation: Conversation(rules: self.rules, isInbox: key.isInbox),
            lastUsed: now.monotonic,
            generation: isNew ? 1 : self.slots[Int(number)].generation &+ 1)
        if isNew { self.slots.append(slot) } else { self.slots[Int(number)] = slot }
        self.index.insert(number, hash: key.hash)
        return number
    }

    /// Forgets the conversation in this slot, but for what its store may forget as well.
    mutating func close(_ number: UInt32, at now: ClockReading) {
        self.retain(number, at: now)
        self.index.remove(number, hash: self.slots[Int(number)].key.hash)
        self.slots[Int(number)].isUsed = false
        self.slots[Int(number)].conversation = Conversation(rules: self.rules)
        self.free.append(number)
    }

    // MARK: Views

    /// Another view: what is another's in it is let go, and loops of nodes that are gone listen no more.
    ///
    /// Writes that are in flight stay so: they are stored before the next owner claims the shard, or refused after. When a view between
    /// has been missed, a shard may have been another's meanwhile: it is claimed again, and its conversations are loaded again.
    mutating func follow(
        _ view: View, gone: Set<UInt64>, at now: ClockReading, outbox: inout Outbox
    ) {
        let isOneMissed = view.number != self.view.number + 1
        self.view = view
        for shard in self.shards.keys where isOneMissed || view.owner(of: shard) != self.id {
            self.shards[shard] = nil
        }
        for number in self.slots.indices where self.slots[number].isUsed {
            if view.owner(of: Int(self.slots[number].shard)) != self.id {
                // Stored before the next owner claims the shard, or refused: then a reader's next receipt says it again.
                self.update(UInt32(number), at: now, outbox: &outbox) {
                    $0.flushCursorsNow(at: now, into: &$1)
                }
                self.handOver(UInt32(number), at: now, outbox: &outbox)
                continue
            }
            if isOneMissed { self.abandon(UInt32(number), at: now, outbox: &outbox) }
            if !gone.isEmpty {
                self.update(UInt32(number), at: now, outbox: &outbox) {
                    $0.removeNodes(gone, at: now, into: &$1)
                }
            }
        }
        self.suspectedSubscribers.removeAll { gone.contains($0.loop.incarnation) }
    }

    /// The store may be another than before, or an earlier one: whatever it may have forgotten is compared, and written again.
    mutating func compareWithStore(at now: ClockReading, outbox: inout Outbox) {
        self.storeInDoubtUntil = now.after(self.limits.retention)
        self.unofferedCount = self.retainedHistories.count
        for number in self.slots.indices where self.slots[number].isUsed {
            self.update(UInt32(number), at: now, outbox: &outbox) {
                $0.recheckStore(at: now, into: &$1)
            }
        }
    }

    /// A conversation is another's from here on: its listeners are sent there.
    mutating func handOver(_ number: UInt32, at now: ClockReading, outbox: inout Outbox) {
        self.update(number, at: now, outbox: &outbox) { $0.close(at: now, into: &$1) }
        self.close(number, at: now)
    }

    func reference(to number: UInt32) -> ConversationReference {
        ConversationReference(slot: number, generation: self.slots[Int(number)].generation)
    }

    func continuation(for number: UInt32) -> StoreContinuation {
        StoreContinuation(
            conversation: self.reference(to: number), loadTerm: self.slots[Int(number)].loadTerm)
    }

    func isCurrent(_ place: ConversationReference) -> Bool {
        self.slots[Int(place.slot)].generation == place.generation
            && self.slots[Int(place.slot)].isUsed
    }

    func isCurrent(_ errand: StoreContinuation) -> Bool {
        self.slots[Int(errand.conversation.slot)].loadTerm == errand.loadTerm
            && self.isCurrent(errand.conversation)
    }
}
