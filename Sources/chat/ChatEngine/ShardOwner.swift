import Bytes
import ChatCore
import ChatModel
import Cluster

/// The conversations that a loop owns.
///
/// It loads them when they are first needed, numbers their messages, batches the writes, and
/// publishes answers and events once they are stored.
struct ShardOwner: Sendable {
    struct ConversationSlot: Sendable {
        let key: ConversationKey
        /// The shard's epoch when the conversation was last loaded.
        var epoch: Epoch = 0
        var lastUsed: Int64
        let shard: Int32
        /// Counts how often the loaded state was discarded. Answers to earlier store requests are
        /// ignored.
        var loadTerm: UInt32 = 0
        /// The newest change that is published in the step that stores it.
        var publishedThrough: Revision = 0
        // It is last because the fields that every message uses are at its beginning: together with
        // the fields above they form one stretch of memory.
        var conversation: Conversation

        init(key: ConversationKey, conversation: Conversation, lastUsed: Int64) {
            self.key = key
            self.lastUsed = lastUsed
            self.shard = Int32(Shard.of(key))
            self.conversation = conversation
        }

        /// The bytes of a slot that a message uses.
        static var hotBytes: Int {
            MemoryLayout<Self>.offset(of: \.conversation)! + Conversation.hotBytes
        }
    }

    struct ConversationReference: SlotKey {
        let slot: UInt32
        let generation: UInt32
    }

    /// A conversation and its load term, to which a store answer belongs.
    struct StoreContinuation: Sendable {
        let conversation: ConversationReference
        let loadTerm: UInt32
    }

    /// The origin of a write in a batch.
    struct WriteContext: Sendable {
        let continuation: StoreContinuation
        let origin: RequestOrigin?
        /// Loops of other nodes that are notified in the step that stores the write.
        var alreadyNotified = LoopSet()
    }

    enum ShardState: Sendable {
        case claiming([StoreContinuation])
        case held(Epoch)
    }

    /// The purpose of a store request.
    enum StoreRequestPurpose: Sendable {
        case claim(shard: Int)
        case load(StoreContinuation)
        case loadRecents(StoreContinuation)
        case lookUp(StoreContinuation, SequenceNumber)
        case readHistory(StoreContinuation)
        case write([Write], [WriteContext])
        /// Sent by the owner that this one replaces. The answer only tells what to retain.
        case formerWrite([Write])
    }

    /// A loop whose envelopes were lost. Unless it attaches again in time, its subscriptions end.
    struct SuspectedSubscriber: Sendable {
        let loop: LoopID
        var conversations: Set<ConversationReference>
        let deadline: Int64
    }

    let id: LoopID
    private(set) var view: View
    /// The monotonic millisecond since which the view is known. Before the first input it is not
    /// set, and a single node has had its view forever, because it has no subscribers yet.
    private var viewSince: Int64?
    private var rules: ConversationRules
    var slots: SlotList<ConversationReference, ConversationSlot>
    private var index = SlotIndex()
    var shards: [Int: ShardState] = [:]
    var pendingRequests: [StoreTicket: StoreRequestPurpose] = [:]
    var batch: [Write] = []
    var writeContexts: [WriteContext] = []
    /// Writes that the store has not answered.
    var writesInFlight = 0
    /// The end of the backoff after a store failure, for writes and for reads.
    var writesUnavailableUntil: Int64 = 0
    var readsUnavailableUntil: Int64 = 0
    /// The error for requests until then.
    var unavailability = ChatError.unavailable
    /// The times at which conversations must wake up.
    var timers = SlotTimers(millisecondsPerTick: 1)
    var effects: [ConversationEffect] = []
    /// Posts of this turn to the inboxes of mentioned users.
    var inboxPosts: [(inbox: ConversationKey, body: MessageBody)] = []
    /// The loops that the store's step has already notified of the current change.
    var alreadyNotified: (revision: Revision, loops: LoopSet) = (0, LoopSet())
    var suspectedSubscribers: [SuspectedSubscriber] = []
    /// Histories of conversations that were handed over; oldest first.
    var retainedHistories: [RetainedHistory] = []
    /// How many of them were not offered yet since the store became doubtful.
    var unofferedCount = 0
    /// Until this time, a history that is handed over may be missing in the store.
    var storeInDoubtUntil: Int64 = .min
    /// The repairs after the store lost data.
    var recoveryCounts = RecoveryCounts()
    /// The slot that was swept last.
    var sweptSlot: UInt32 = 0
    /// Above this number of unanswered writes, sends are refused temporarily.
    static let writesInFlightLimit = 65_536
    static let storeBackoff: Int64 = 250
    static let suspicionMilliseconds: Int64 = 5000

    init(id: LoopID, view: View, limits: Limits) {
        self.id = id
        self.view = view
        self.rules = ConversationRules(limits)
        self.slots = SlotList(
            vacant: ConversationSlot(
                key: ConversationKey(tenant: "", id: ""),
                conversation: Conversation(rules: self.rules), lastUsed: 0))
    }

    var limits: Limits { self.rules.limits }

    /// See `ChatLoop.follow`.
    mutating func follow(_ limits: Limits) {
        self.rules = ConversationRules(limits)
        for slot in self.slots.occupiedSlots { self.slots[slot].conversation.rules = self.rules }
    }

    /// Creates the loop's next owner, which keeps the retained histories of the last one, and
    /// retains those of its unanswered writes that turn out to be stored.
    init(id: LoopID, view: View, replacing previous: ShardOwner) {
        self.init(id: id, view: view, limits: previous.limits)
        self.retainedHistories = previous.retainedHistories
        self.unofferedCount = previous.unofferedCount
        self.storeInDoubtUntil = previous.storeInDoubtUntil
        self.recoveryCounts = previous.recoveryCounts
        self.pendingRequests = previous.pendingRequests.compactMapValues {
            switch $0 {
            case .write(let writes, _), .formerWrite(let writes): .formerWrite(writes)
            default: nil
            }
        }
    }

    var conversationCount: Int { self.index.count }

    // MARK: Input

    mutating func handle(
        _ input: Envelope.Input, from loop: LoopID, at now: ClockReading, output: inout LoopOutput
    ) {
        guard
            let number = self.slot(of: input)
                ?? self.open(input, from: loop, at: now, output: &output)
        else { return }
        if !self.suspectedSubscribers.isEmpty {
            self.reviewSuspicion(of: loop, number, input, output: &output)
        }
        self.slots[number].lastUsed = now.monotonic
        guard self.slots[number].conversation.accepts(input.sendOrder, from: loop) else {
            output.send(.answer(input.request, .failed(.unavailable), slot: number), to: loop)
            return
        }
        self.setWriteAvailability(of: number, at: now)
        let origin = RequestOrigin(
            loop: loop, request: input.request, isRetry: input.isRetry, feedSlot: input.feedSlot,
            acceptedAt: input.acceptedAt)
        var effects = self.takeEffectBuffer()
        self.slots[number].conversation.handle(input.input, from: origin, at: now, into: &effects)
        self.run(&effects, of: number, at: now, output: &output)
    }

    /// Prefetches the conversation in this slot, which this turn will use if the hint is right.
    func prefetch(_ slot: UInt32) {
        self.slots.prefetch(slot, bytes: ConversationSlot.hotBytes)
    }

    /// Prefetches the memory that the slot points to. The slot itself must be in the cache by then.
    mutating func prefetchConversation(_ slot: UInt32) {
        if self.slots.isOccupied(slot) { self.slots[slot].conversation.prefetch() }
    }

    // Inlined, as `continuation(for:)`: a call would copy the owner, which is a large value.
    @inline(__always)
    private func slot(of input: Envelope.Input) -> UInt32? {
        let slot = input.ownerSlot
        // Field by field: `==` of keys in a list copies them.
        if self.slots.isOccupied(slot), self.slots[slot].key.hash == input.conversation.hash,
            self.slots[slot].key.id == input.conversation.id,
            self.slots[slot].key.tenant == input.conversation.tenant
        {
            return slot
        }
        return self.index.slot(hash: input.conversation.hash) {
            self.slots[$0].key == input.conversation
        }
    }

    /// The slot of a conversation; nil if it is not in memory.
    func slot(of key: ConversationKey) -> UInt32? {
        self.index.slot(hash: key.hash) { self.slots[$0].key == key }
    }

    /// The key of a conversation in memory by its hash, for traces.
    func key(withHash hash: Int) -> ConversationKey? {
        self.index.slot(hash: hash) { self.slots[$0].key.hash == hash }.map { self.slots[$0].key }
    }

    /// Opens a slot for the input's conversation; nil if there is nothing to do here.
    private mutating func open(
        _ input: Envelope.Input, from loop: LoopID, at now: ClockReading, output: inout LoopOutput
    ) -> UInt32? {
        // A conversation that is not in memory has no subscribers, so none can leave.
        guard !input.input.isDeparture else { return nil }
        let key = input.conversation
        // Every conversation in memory is this loop's own: `follow` hands over all others.
        guard self.view.owner(of: key) == self.id else {
            if input.request != 0 { output.send(.notOwner(input.request), to: loop) }
            return nil
        }
        let viewSince = self.viewSince ?? (self.view.nodes.count > 1 ? now.monotonic : .min / 2)
        self.viewSince = viewSince
        let number = self.slots.insert(
            ConversationSlot(
                key: key,
                conversation: Conversation(
                    rules: self.rules, isInbox: key.isInbox, ownedSince: viewSince),
                lastUsed: now.monotonic)
        ).slot
        self.index.insert(number, hash: key.hash)
        return number
    }

    /// Removes the conversation from memory. The changes that the store may lose stay retained.
    mutating func close(_ number: UInt32, at now: ClockReading) {
        self.retain(number, at: now)
        self.index.remove(number, hash: self.slots[number].key.hash)
        self.slots.remove(number)
    }

    // MARK: Views

    /// Follows a new view: hands over the conversations of other owners, and removes the
    /// subscribers of removed nodes.
    ///
    /// Writes in flight are either stored before the next owner claims the shard, or rejected after
    /// that. If a view was skipped, a shard may have had another owner in between, so it is claimed
    /// and its conversations are loaded again.
    mutating func follow(
        _ view: View, removedNodes: Set<UInt64>, at now: ClockReading, output: inout LoopOutput
    ) {
        let isOneMissed = view.number != self.view.number + 1
        self.view = view
        self.viewSince = now.monotonic
        for shard in self.shards.keys where isOneMissed || view.owner(of: shard) != self.id {
            self.shards[shard] = nil
        }
        for number in self.slots.occupiedSlots {
            if view.owner(of: Int(self.slots[number].shard)) != self.id {
                // They are stored before the next owner claims the shard, or rejected; then the
                // reader's next receipt repeats them.
                self.update(number, at: now, output: &output) {
                    $0.flushCursorsNow(at: now, into: &$1)
                }
                self.handOver(number, at: now, output: &output)
                continue
            }
            if isOneMissed { self.abandon(number, at: now, output: &output) }
            if !removedNodes.isEmpty {
                self.update(number, at: now, output: &output) {
                    $0.removeNodes(removedNodes, at: now, into: &$1)
                }
            }
        }
        self.suspectedSubscribers.removeAll { removedNodes.contains($0.loop.incarnation) }
    }

    /// Compares all conversations with the store, and writes again what the store has lost. The
    /// store may be another one, or may have returned to an earlier state.
    mutating func compareWithStore(at now: ClockReading, output: inout LoopOutput) {
        self.storeInDoubtUntil = now.after(self.limits.retention)
        self.unofferedCount = self.retainedHistories.count
        // In one pass, because finding the conversations of a shard visits all of them.
        self.reclaimWhereWritesAreInFlight(at: now, output: &output)
        for number in self.slots.occupiedSlots {
            self.update(number, at: now, output: &output) {
                $0.recheckStore(at: now, into: &$1)
            }
        }
    }

    /// Hands a conversation over to another owner, and sends its subscribers there.
    mutating func handOver(_ number: UInt32, at now: ClockReading, output: inout LoopOutput) {
        self.update(number, at: now, output: &output) { $0.close(at: now, into: &$1) }
        self.close(number, at: now)
    }

    @inline(__always)
    func continuation(for number: UInt32) -> StoreContinuation {
        StoreContinuation(
            conversation: self.slots.key(of: number), loadTerm: self.slots[number].loadTerm)
    }

    func isCurrent(_ reference: ConversationReference) -> Bool { self.slots.contains(reference) }

    func isCurrent(_ continuation: StoreContinuation) -> Bool {
        self.isCurrent(continuation.conversation)
            && self.slots[continuation.conversation.slot].loadTerm == continuation.loadTerm
    }
}
