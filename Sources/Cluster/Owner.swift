import Bytes
import ChatCore
import ChatModel

/// The conversations that a loop owns: loads them when they are first needed, numbers what is said, batches what is
/// to be stored, and lets answers and events go when it is.
struct Owner: Sendable {
    struct Slot: Sendable {
        let key: ConversationKey
        /// Of the shard, since the conversation was last loaded.
        var epoch: Epoch = 0
        var lastUsed: Int64
        let shard: Int32
        /// Which of the conversations it is that stood here.
        let generation: UInt32
        /// How often what was known of the store's side had to be given up: what was asked before is of no use after.
        var term: UInt32 = 0
        var isUsed = true
        /// The newest change that other nodes hear of as soon as the store has it.
        var newsThrough: Revision = 0
        // Last, for what every message touches stands at its beginning: one stretch of memory with the above.
        var conversation: Conversation

        init(key: ConversationKey, conversation: Conversation, lastUsed: Int64, generation: UInt32) {
            self.key = key
            self.lastUsed = lastUsed
            self.shard = Int32(Shard.of(key))
            self.generation = generation
            self.conversation = conversation
        }

        /// What a message touches of a slot.
        static var hotBytes: Int { MemoryLayout<Self>.offset(of: \.conversation)! + Conversation.hotBytes }
    }

    struct Place: Sendable, Hashable {
        let slot: UInt32
        let generation: UInt32
    }

    /// A conversation, and since when what is asked for it is of use.
    struct Errand: Sendable {
        let place: Place
        let term: UInt32
    }

    /// Whose a write of a batch is.
    struct Asked: Sendable {
        let errand: Errand
        let origin: Origin?
        /// Loops of other nodes that hear of it in the step that stores it.
        var told = LoopSet()
    }

    enum ShardState: Sendable {
        case claiming([Errand])
        case held(Epoch)
    }

    /// What a store answer is for.
    enum Purpose: Sendable {
        case claim(shard: Int)
        case load(Errand)
        case recall(Errand)
        case find(Errand, SequenceNumber, Search)
        case compare(Errand)
        case write([Write], [Asked])
    }

    /// Envelopes to or from a loop were lost: the conversations that it heard are its own no longer unless it says so in time.
    struct Doubt: Sendable {
        let loop: OwnerID
        var places: Set<Place>
        let until: Int64
    }

    let id: OwnerID
    let limits: ChatLimits
    private(set) var view: View
    private let rules: ConversationRules
    var slots: [Slot] = []
    private var index = SlotIndex()
    private var free: [UInt32] = []
    var shards: [Int: ShardState] = [:]
    var purposes: [StoreTicket: Purpose] = [:]
    var batch: [Write] = []
    var asked: [Asked] = []
    /// Writes that the store has and has not answered.
    var writesUnderWay = 0
    /// Until when the store is spared, because it has just failed.
    var writesAwayUntil: Int64 = 0
    var readsAwayUntil: Int64 = 0
    var wakeups = Wakeups()
    var effects: [ConversationEffect] = []
    /// Who has heard of this change from the store's step already.
    var told: (revision: Revision, loops: LoopSet) = (0, LoopSet())
    var doubts: [Doubt] = []
    /// Of conversations that were let go; oldest first.
    var keepsakes: [Keepsake] = []
    /// So many of them were offered to nobody while the store was in doubt.
    var unoffered = 0
    /// Until when what is let go may be what the store has just forgotten.
    var inDoubtUntil: Int64 = .min
    /// What was done about what the store had forgotten.
    var restored = RestoredChanges()
    var swept = 0
    /// Above this many writes that the store has not answered, sends are told to try again.
    static let writesUnderWayLimit = 65_536
    static let storePause: Int64 = 250
    static let doubtMilliseconds: Int64 = 5000

    init(id: OwnerID, view: View, limits: ChatLimits) {
        self.id = id
        self.view = view
        self.limits = limits
        self.rules = ConversationRules(limits)
    }

    /// Another owner in the same loop, who keeps what the last one kept.
    init(id: OwnerID, view: View, limits: ChatLimits, after last: Owner) {
        self.init(id: id, view: view, limits: limits)
        self.keepsakes = last.keepsakes
        self.unoffered = last.unoffered
        self.inDoubtUntil = last.inDoubtUntil
        self.restored = last.restored
    }

    var conversationCount: Int { self.index.count }

    // MARK: What comes in

    mutating func handle(_ input: Envelope.Input, from loop: OwnerID, at now: Moment, outbox: inout Outbox) {
        guard let number = self.find(input) ?? self.open(input, from: loop, at: now, outbox: &outbox) else { return }
        let slot = Int(number)
        if !self.doubts.isEmpty { self.considerDoubt(of: loop, number, input, outbox: &outbox) }
        self.slots[slot].lastUsed = now.monotonic
        guard self.slots[slot].conversation.takes(input.turn, of: loop) else {
            outbox.send(.answer(input.request, .failed(.unavailable), place: number), to: loop)
            return
        }
        self.slots[slot].conversation.isStoreAway = now.monotonic < self.writesAwayUntil || self.writesUnderWay >= Self.writesUnderWayLimit
        let origin = Origin(loop: loop, request: input.request, isRepeat: input.isRepeat, place: input.feedPlace)
        var effects = self.takeEffects()
        self.slots[slot].conversation.handle(input.input, from: origin, at: now, into: &effects)
        self.run(&effects, of: number, at: now, outbox: &outbox)
    }

    /// A conversation that stands here, if the place is right, will be asked for something in this turn.
    func prefetch(_ place: UInt32) {
        if Int(place) < self.slots.count { Prefetch.element(Int(place), of: self.slots, bytes: Slot.hotBytes) }
    }

    /// The same for what its slot points to, which has to be there by then.
    mutating func prefetchWithin(_ place: UInt32) {
        if Int(place) < self.slots.count { self.slots[Int(place)].conversation.prefetch() }
    }

    private func find(_ input: Envelope.Input) -> UInt32? {
        let place = Int(input.ownerPlace)
        if place < self.slots.count, self.slots[place].isUsed, self.slots[place].key == input.conversation { return input.ownerPlace }
        return self.index.slot(hash: input.conversation.hash) { self.slots[Int($0)].key == input.conversation }
    }

    /// Where a conversation stands; nil where it is not in memory.
    func slot(of key: ConversationKey) -> UInt32? {
        self.index.slot(hash: key.hash) { self.slots[Int($0)].key == key }
    }

    /// Nil where there is nothing to be done here.
    private mutating func open(_ input: Envelope.Input, from loop: OwnerID, at now: Moment, outbox: inout Outbox) -> UInt32? {
        // Of a conversation that is not here nobody is known to listen: there is nobody to take away.
        guard !input.input.isFarewell else { return nil }
        let key = input.conversation
        // What is here is this loop's own: `follow` lets go of everything else.
        guard self.view.owner(of: key) == self.id else {
            if input.request != 0 { outbox.send(.moved(input.request), to: loop) }
            return nil
        }
        let number = self.free.popLast() ?? UInt32(self.slots.count)
        let isNew = Int(number) == self.slots.count
        let slot = Slot(
            key: key, conversation: Conversation(rules: self.rules, isInbox: key.isInbox), lastUsed: now.monotonic,
            generation: isNew ? 1 : self.slots[Int(number)].generation &+ 1)
        if isNew { self.slots.append(slot) } else { self.slots[Int(number)] = slot }
        self.index.insert(number, hash: key.hash)
        return number
    }

    /// Forgets the conversation in this slot, but for what its store may forget as well.
    mutating func close(_ number: UInt32, at now: Moment) {
        self.keep(number, at: now)
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
    mutating func follow(_ view: View, gone: Set<UInt64>, at now: Moment, outbox: inout Outbox) {
        let isOneMissed = view.number != self.view.number + 1
        self.view = view
        for shard in self.shards.keys where isOneMissed || view.owner(of: shard) != self.id { self.shards[shard] = nil }
        for number in self.slots.indices where self.slots[number].isUsed {
            if view.owner(of: Int(self.slots[number].shard)) != self.id {
                // Stored before the next owner claims the shard, or refused: then a reader's next receipt says it again.
                self.update(UInt32(number), at: now, outbox: &outbox) { $0.writeDownCursors(at: now, into: &$1) }
                self.letGo(UInt32(number), at: now, outbox: &outbox)
                continue
            }
            if isOneMissed { self.abandon(UInt32(number), at: now, outbox: &outbox) }
            if !gone.isEmpty { self.update(UInt32(number), at: now, outbox: &outbox) { $0.forget(gone, at: now, into: &$1) } }
        }
        self.doubts.removeAll { gone.contains($0.loop.incarnation) }
    }

    /// The store may be another than before, or an earlier one: whatever it may have forgotten is compared, and written again.
    mutating func compareWithStore(at now: Moment, outbox: inout Outbox) {
        self.inDoubtUntil = now.after(self.limits.hold)
        self.unoffered = self.keepsakes.count
        for number in self.slots.indices where self.slots[number].isUsed {
            self.update(UInt32(number), at: now, outbox: &outbox) { $0.compare(at: now, into: &$1) }
        }
    }

    /// A conversation is another's from here on: its listeners are sent there.
    mutating func letGo(_ number: UInt32, at now: Moment, outbox: inout Outbox) {
        self.update(number, at: now, outbox: &outbox) { $0.close(at: now, into: &$1) }
        self.close(number, at: now)
    }

    func place(_ number: UInt32) -> Place {
        Place(slot: number, generation: self.slots[Int(number)].generation)
    }

    func errand(_ number: UInt32) -> Errand {
        Errand(place: self.place(number), term: self.slots[Int(number)].term)
    }

    func isCurrent(_ place: Place) -> Bool {
        self.slots[Int(place.slot)].generation == place.generation && self.slots[Int(place.slot)].isUsed
    }

    func isCurrent(_ errand: Errand) -> Bool {
        self.slots[Int(errand.place.slot)].term == errand.term && self.isCurrent(errand.place)
    }
}
