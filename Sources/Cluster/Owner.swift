import ChatCore
import ChatModel

/// The conversations that a loop owns: loads them when they are first needed, numbers what is said, batches what is
/// to be stored, and lets answers and events go when it is.
struct Owner: Sendable {
    struct Slot: Sendable {
        let key: ConversationKey
        let shard: Int
        var generation: UInt32
        /// Nil while the store has not answered.
        var conversation: Conversation?
        var waiting: [(input: ConversationInput, origin: Origin)] = []
        var lastUsed: Int64
        var isUsed = true
    }

    enum ShardState: Sendable {
        case claiming([UInt32])
        case held(Epoch)
    }

    /// What a store answer is for.
    enum Purpose: Sendable {
        case claim(shard: Int)
        case load(Place)
        case recall(Place)
        case find(Place, SequenceNumber, Search)
        case write([Written])
    }

    struct Place: Sendable, Hashable {
        let slot: UInt32
        let generation: UInt32
    }

    /// How far a batch brings a conversation.
    struct Written: Sendable {
        let place: Place
        let first: Int
        var revision: Revision
    }

    let id: OwnerID
    let limits: ChatLimits
    private(set) var slots: [Slot] = []
    private var index: [ConversationKey: UInt32] = [:]
    private var free: [UInt32] = []
    private var shards: [Int: ShardState] = [:]
    private var purposes: [StoreTicket: Purpose] = [:]
    private var batch: [Write] = []
    private var written: [Written] = []
    private var wakeups = Wakeups()
    private var effects: [ConversationEffect] = []
    /// Loops that have missed or been missed: their conversations are theirs no longer unless they say so in time.
    private var doubts: [OwnerID: (places: Set<Place>, until: Int64)] = [:]
    private var swept = 0
    /// Inputs that wait for one conversation's loading; those beyond are told to try again.
    static let waitingLimit = 4096
    static let doubtMilliseconds: Int64 = 5000

    init(id: OwnerID, limits: ChatLimits) {
        self.id = id
        self.limits = limits
    }

    var conversationCount: Int { self.index.count }

    // MARK: What comes in

    mutating func handle(_ input: ConversationInput, in key: ConversationKey, from origin: Origin, at now: Moment, outbox: inout Outbox) {
        let number = self.index[key] ?? self.open(key, at: now, outbox: &outbox)
        if self.slots[Int(number)].conversation == nil {
            guard self.slots[Int(number)].waiting.count < Self.waitingLimit else {
                if origin.request != 0 { outbox.send(.answer(origin.request, .failed(.unavailable)), to: origin.loop) }
                return
            }
            self.slots[Int(number)].waiting.append((input, origin))
            return
        }
        self.slots[Int(number)].lastUsed = now.monotonic
        if case .attach = input { self.settleDoubt(of: origin.loop, number) }
        var effects = self.takeEffects()
        self.slots[Int(number)].conversation?.handle(input, from: origin, at: now, into: &effects)
        self.run(&effects, of: number, outbox: &outbox)
    }

    private mutating func open(_ key: ConversationKey, at now: Moment, outbox: inout Outbox) -> UInt32 {
        let shard = Shard.of(key)
        let number: UInt32
        if let reused = self.free.popLast() {
            number = reused
            self.slots[Int(number)] = Slot(key: key, shard: shard, generation: self.slots[Int(number)].generation &+ 1, lastUsed: now.monotonic)
        } else {
            number = UInt32(self.slots.count)
            self.slots.append(Slot(key: key, shard: shard, generation: 1, lastUsed: now.monotonic))
        }
        self.index[key] = number
        switch self.shards[shard] {
        case .held:
            self.load(number, outbox: &outbox)
        case .claiming(let waiting):
            self.shards[shard] = .claiming(waiting + [number])
        case nil:
            self.shards[shard] = .claiming([number])
            self.purposes[outbox.request(.claim(shard: shard, owner: self.id))] = .claim(shard: shard)
        }
        return number
    }

    private mutating func load(_ number: UInt32, outbox: inout Outbox) {
        let slot = self.slots[Int(number)]
        self.purposes[outbox.request(.load(slot.key))] = .load(self.place(number))
    }

    private func place(_ number: UInt32) -> Place {
        Place(slot: number, generation: self.slots[Int(number)].generation)
    }

    private func isCurrent(_ place: Place) -> Bool {
        let slot = self.slots[Int(place.slot)]
        return slot.isUsed && slot.generation == place.generation
    }

    // MARK: What conversations want

    private mutating func takeEffects() -> [ConversationEffect] {
        defer { self.effects = [] }
        return self.effects
    }

    private mutating func run(_ effects: inout [ConversationEffect], of number: UInt32, outbox: inout Outbox) {
        for effect in effects {
            switch effect {
            case .write(let change, let revision):
                self.write(change, revision, of: number)
            case .answer(let answer, let origin):
                if origin.request != 0 { outbox.send(.answer(origin.request, answer), to: origin.loop) }
            case .event(let event, let revision, let asked):
                self.announce(event, revision, asked, of: number, outbox: &outbox)
            case .tell(let event, let loops):
                for loop in loops { outbox.send(.event(self.slots[Int(number)].key, event, 0, answering: 0), to: loop) }
            case .find(let sequence, let search):
                let ticket = outbox.request(.page(self.slots[Int(number)].key, .after(sequence - 1), limit: 1))
                self.purposes[ticket] = .find(self.place(number), sequence, search)
            case .recall:
                let ticket = outbox.request(.recent(self.slots[Int(number)].key, limit: self.limits.recentMessages))
                self.purposes[ticket] = .recall(self.place(number))
            case .wake(let time):
                self.wakeups.insert(.init(time: time, slot: number, generation: self.slots[Int(number)].generation))
            }
        }
        effects.removeAll(keepingCapacity: true)
        // The room is used again, so that a message allocates none.
        self.effects = effects
    }

    private mutating func write(_ change: Write.Change, _ revision: Revision, of number: UInt32) {
        let shard = self.slots[Int(number)].shard
        guard case .held(let epoch) = self.shards[shard] else { preconditionFailure("a write in shard \(shard), which is not held") }
        if let last = self.written.indices.last, self.written[last].place.slot == number {
            if revision != 0 { self.written[last].revision = revision }
        } else {
            self.written.append(Written(place: self.place(number), first: self.batch.count, revision: revision))
        }
        self.batch.append(Write(conversation: self.slots[Int(number)].key, shard: shard, epoch: epoch, revision: revision, change: change))
    }

    private func announce(_ event: ChatEvent, _ revision: Revision, _ asked: Origin?, of number: UInt32, outbox: inout Outbox) {
        let key = self.slots[Int(number)].key
        var isAnswered = asked == nil || asked?.request == 0
        for loop in self.slots[Int(number)].conversation?.interested ?? [] {
            if let asked, asked.loop == loop {
                isAnswered = true
                outbox.send(.event(key, event, revision, answering: asked.request), to: loop)
            } else {
                outbox.send(.event(key, event, revision, answering: 0), to: loop)
            }
        }
        if !isAnswered, let asked { outbox.send(.answer(asked.request, Self.answer(for: event)), to: asked.loop) }
    }

    static func answer(for event: ChatEvent) -> ChatAnswer {
        switch event {
        case .posted(let message): .posted(message)
        case .edited(let message), .deleted(let message): .amended(message)
        default: .done
        }
    }

    /// What has gathered since the last time leaves as one batch; nothing waits for company.
    mutating func flush(outbox: inout Outbox) {
        guard !self.batch.isEmpty else { return }
        self.purposes[outbox.request(.write(WriteBatch(owner: self.id, writes: self.batch)))] = .write(self.written)
        self.batch = []
        self.written = []
    }

    // MARK: What the store says

    /// Whether the answer was for this owner.
    mutating func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket, at now: Moment, outbox: inout Outbox) -> Bool {
        guard let purpose = self.purposes.removeValue(forKey: ticket) else { return false }
        switch (purpose, answer) {
        case (.claim(let shard), .claimed(let epoch)):
            guard case .claiming(let waiting) = self.shards[shard] else { return true }
            self.shards[shard] = .held(epoch)
            for number in waiting where self.slots[Int(number)].isUsed && self.slots[Int(number)].conversation == nil { self.load(number, outbox: &outbox) }
        case (.claim(let shard), _):
            guard case .claiming(let waiting) = self.shards.removeValue(forKey: shard) else { return true }
            for number in waiting where self.slots[Int(number)].isUsed { self.reset(number, outbox: &outbox) }
        case (.load(let place), .loaded(let loaded)):
            guard self.isCurrent(place) else { return true }
            self.slots[Int(place.slot)].conversation = Conversation(key: self.slots[Int(place.slot)].key, loaded: loaded, limits: self.limits)
            let waiting = self.slots[Int(place.slot)].waiting
            self.slots[Int(place.slot)].waiting = []
            for (input, origin) in waiting {
                self.handle(input, in: self.slots[Int(place.slot)].key, from: origin, at: now, outbox: &outbox)
            }
        case (.recall(let place), .recent(let messages)):
            self.update(place, outbox: &outbox) { $0.remember(messages, at: now, into: &$1) }
        case (.find(let place, let sequence, let search), .page(let page)):
            self.update(place, outbox: &outbox) { conversation, effects in
                let message = page.messages.first { $0.sequence == sequence }
                conversation.found(message, for: search, sequence: sequence, at: now, into: &effects)
            }
        case (.write(let written), .written(.stored)):
            for written in written {
                self.update(written.place, outbox: &outbox) { $0.stored(through: written.revision, at: now, into: &$1) }
            }
        case (.write(let written), .written(.refused(let refusals))):
            self.refused(written, refusals, at: now, outbox: &outbox)
        case (.write(let written), _):
            for written in written where self.isCurrent(written.place) { self.reset(written.place.slot, outbox: &outbox) }
        case (.load(let place), _), (.recall(let place), _), (.find(let place, _, _), _):
            if self.isCurrent(place) { self.reset(place.slot, outbox: &outbox) }
        }
        return true
    }

    private mutating func update(
        _ place: Place, outbox: inout Outbox, _ body: (inout Conversation, inout [ConversationEffect]) -> Void
    ) {
        guard self.isCurrent(place), self.slots[Int(place.slot)].conversation != nil else { return }
        var effects = self.takeEffects()
        body(&self.slots[Int(place.slot)].conversation!, &effects)
        self.run(&effects, of: place.slot, outbox: &outbox)
    }

    private mutating func refused(_ written: [Written], _ refusals: [Int: WriteRefusal], at now: Moment, outbox: inout Outbox) {
        for (place, entry) in written.enumerated() {
            let end = place + 1 < written.count ? written[place + 1].first : Int.max
            guard let refusal = refusals.first(where: { $0.key >= entry.first && $0.key < end })?.value else {
                self.update(entry.place, outbox: &outbox) { $0.stored(through: entry.revision, at: now, into: &$1) }
                continue
            }
            guard self.isCurrent(entry.place) else { continue }
            let shard = self.slots[Int(entry.place.slot)].shard
            self.reset(entry.place.slot, outbox: &outbox)
            if case .fenced = refusal { self.loseShard(shard, outbox: &outbox) }
        }
    }

    /// Another owns the shard: all its conversations are loaded again by whoever needs them.
    private mutating func loseShard(_ shard: Int, outbox: inout Outbox) {
        self.shards[shard] = nil
        for number in self.slots.indices where self.slots[number].isUsed && self.slots[number].shard == shard {
            self.reset(UInt32(number), outbox: &outbox)
        }
    }

    /// What is known of a conversation is not to be relied on: whoever waits is told to try again, whoever listens to
    /// attach again, and the store will be asked afresh.
    private mutating func reset(_ number: UInt32, outbox: inout Outbox) {
        let slot = self.slots[Int(number)]
        for (_, origin) in slot.waiting where origin.request != 0 {
            outbox.send(.answer(origin.request, .failed(.unavailable)), to: origin.loop)
        }
        if slot.conversation != nil {
            var effects = self.takeEffects()
            self.slots[Int(number)].conversation?.abandon(into: &effects)
            self.run(&effects, of: number, outbox: &outbox)
            for loop in slot.conversation?.interested ?? [] { outbox.send(.attachAgain(slot.key), to: loop) }
        }
        self.close(number)
    }

    private mutating func close(_ number: UInt32) {
        self.index[self.slots[Int(number)].key] = nil
        self.slots[Int(number)].conversation = nil
        self.slots[Int(number)].waiting = []
        self.slots[Int(number)].isUsed = false
        self.free.append(number)
    }

    // MARK: Time

    mutating func tick(at now: Moment, outbox: inout Outbox) {
        while let due = self.wakeups.popDue(at: now.monotonic) {
            self.update(Place(slot: due.slot, generation: due.generation), outbox: &outbox) { $0.tick(at: now, into: &$1) }
        }
        for (loop, doubt) in self.doubts where doubt.until <= now.monotonic {
            self.doubts[loop] = nil
            for place in doubt.places { self.update(place, outbox: &outbox) { $0.detach(loop, at: now, into: &$1) } }
        }
        self.sweep(at: now)
    }

    /// Looks at some conversations each time and drops those that nobody has needed for long.
    private mutating func sweep(at now: Moment) {
        for _ in 0..<min(self.slots.count, 256) {
            self.swept = (self.swept + 1) % self.slots.count
            let slot = self.slots[self.swept]
            if slot.isUsed, slot.conversation?.isIdle == true, slot.lastUsed + self.limits.idle.wholeMilliseconds < now.monotonic {
                self.close(UInt32(self.swept))
            }
        }
    }

    // MARK: Loops that may be gone

    /// Envelopes between this loop and that one were lost: what it listens to is asked for again.
    mutating func doubt(_ loop: OwnerID, at now: Moment) {
        var places = Set<Place>()
        for number in self.slots.indices where self.slots[number].isUsed && self.slots[number].conversation?.interested.contains(loop) == true {
            places.insert(self.place(UInt32(number)))
        }
        self.doubts[loop] = (places, now.monotonic + Self.doubtMilliseconds)
    }

    private mutating func settleDoubt(of loop: OwnerID, _ number: UInt32) {
        guard !self.doubts.isEmpty else { return }
        let place = self.place(number)
        self.doubts[loop]?.places.remove(place)
    }
}
