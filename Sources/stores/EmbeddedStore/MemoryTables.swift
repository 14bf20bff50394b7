import Bytes
public import ChatModel

/// A complete store as a value: it executes a request synchronously and returns the answer.
///
/// This is the simplest implementation of the port's rules. `MemoryStore` adds locks, simulations
/// use it directly, and tests compare other stores with it.
public struct MemoryTables: Sendable {
    private var directory = SlotIndex()
    private var conversations: [MemoryConversation] = []
    private var fences: [ShardFence] = []
    private(set) var lists = ListIndex()
    var tenants: [ByteString: TenantNumbers] = [:]
    private var bans: [Ban.Subject: Ban] = [:]
    private let history: Int
    private let outboxWriter: OutboxWriter?
    private var outbox: MemoryOutbox

    /// Shard numbers are below this.
    static let shardLimit = 65_536

    /// A store that retains the newest `history` messages of each conversation (0: all).
    ///
    /// - Parameter partition: the number of its outbox's only partition.
    public init(history: Int, outbox: OutboxWriter? = nil, partition: Int = 0) {
        precondition(history >= 0, "history \(history) is below 0")
        self.history = history
        self.outboxWriter = outbox
        self.outbox = MemoryOutbox(partition: partition, limit: outbox?.limit ?? 1)
    }

    public mutating func execute(_ request: StoreRequest) -> StoreAnswer {
        if let excess = request.limitViolation { return .failed(excess) }
        return switch request {
        case .claim(let shard, let owner, let view): self.claim(shard, for: owner, under: view)
        case .write(let batch): .written(self.write(batch))
        case .load(let key): .loaded(self.conversation(key)?.loaded)
        case .recent(let key, let limit):
            .recent(self.conversation(key)?.recent(limit: limit) ?? [])
        case .page(let key, let range, let limit):
            .page(self.conversation(key)?.annotatedPage(range, limit: limit) ?? .empty)
        case .thread(let key, let root, let range, let limit):
            .page(self.conversation(key)?.thread(root, range, limit: limit) ?? .empty)
        case .search: preconditionFailure("searches have a thread of their own")
        case .changes(let key, let after, let since, let limit):
            .page(
                self.conversation(key)?.changes(after: after, since: since, limit: limit) ?? .empty)
        case .amended(let key, let through, let since, let limit):
            .page(
                self.conversation(key)?.amended(through: through, since: since, limit: limit)
                    ?? .empty)
        case .unread(let key, let after, let user):
            .unread(self.conversation(key)?.unread(after: after, by: user) ?? 0)
        case .memberships(let user, let tenant, let after, let limit, let unreadLimit):
            .memberships(
                self.memberships(
                    of: user, in: tenant, after: after, limit: limit, unreadLimit: unreadLimit))
        case .catalog(let tenant, let after, let limit):
            .catalog(self.catalog(of: tenant, after: after, limit: limit))
        case .numbers(let users, let tenant): .numbers(self.numbers(of: users, in: tenant))
        case .users(let numbers, let tenant):
            .users(numbers.map { self.tenants[tenant]?.user(numbered: $0) })
        case .nextNumber(let tenant):
            .number(self.tenants[tenant, default: TenantNumbers()].incrementCounter())
        case .bans: .bans(Array(self.bans.values))
        case .ban(let ban): self.store(ban)
        case .unban(let subject): .unbanned(self.bans.removeValue(forKey: subject) != nil)
        case .conversations(let after, let limit):
            self.keys(after: after, limit: limit)
        // Its types allow no faults.
        case .examine: .examined(StoredFaults())
        case .repair(let key, let owner, let epoch):
            self.fence(of: Shard.of(key)).refusal(of: owner, under: epoch) == nil
                ? .examined(StoredFaults()) : .failed(.repairFenced)
        case .outbox(let request): .outbox(self.outbox.execute(request))
        case .probe: .done
        }
    }

    /// - Parameter after: the position of the last conversation of the previous page.
    private func keys(after: ByteString?, limit: Int) -> StoreAnswer {
        guard let last = Int(after?.string ?? "-1"), last >= -1 else {
            return .failed(.invalidCursor)
        }
        let first = min(last + 1, self.conversations.count)
        let end = min(first + StoreRequest.clampedListLimit(limit), self.conversations.count)
        return .conversations(
            ConversationKeyPage(
                keys: self.conversations[first..<end].map(\.key),
                next: end < self.conversations.count ? ByteString(String(end - 1)) : nil))
    }

    /// Applies one write, or returns the reason for its refusal.
    @inline(__always)
    mutating func apply(_ write: Write, by owner: LoopID) -> WriteRefusal? {
        if let refusal = self.fence(of: write.shard).refusal(of: owner, under: write.epoch) {
            return refusal
        }
        let refusal = self.applyAsOwner(write)
        if refusal == nil, let event = self.outboxWriter?.event(write) {
            self.outbox.append(event)
        }
        return refusal
    }

    @inline(__always)
    private mutating func applyAsOwner(_ write: Write) -> WriteRefusal? {
        guard let slot = self.slot(of: write.conversation) else {
            return self.createConversation(write)
        }
        let revision = self.conversations[slot].revision
        guard write.follows(revision: revision, head: self.conversations[slot].head) else {
            return .revisionMismatch(stored: revision)
        }
        self.conversations[slot].apply(write, history: self.history)
        if case .message = write.change { return nil }
        self.lists.recordChange(
            write.change, of: self.conversations[slot].record, at: write.conversation)
        return nil
    }

    private mutating func store(_ ban: Ban) -> StoreAnswer {
        if self.bans[ban.subject] == nil, self.bans.count >= Ban.countLimit {
            self.bans = self.bans.filter { $0.value.isActive(at: ban.since) }
            guard self.bans.count < Ban.countLimit else {
                return .failed(StoreRequest.tooManyBans)
            }
        }
        self.bans[ban.subject] = ban
        return .done
    }

    private mutating func claim(_ shard: Int, for owner: LoopID, under view: Int) -> StoreAnswer {
        guard shard >= 0, shard < Self.shardLimit else {
            return .failed(StoreFailure("shard \(shard): there is no such shard"))
        }
        if self.fences.count <= shard {
            self.fences.append(
                contentsOf: repeatElement(.unclaimed, count: shard + 1 - self.fences.count))
        }
        if view < self.fences[shard].view { return .outdated(view: self.fences[shard].view) }
        self.fences[shard] = ShardFence(
            epoch: self.fences[shard].epoch + 1, owner: owner, view: view)
        return .claimed(self.fences[shard].epoch)
    }

    private mutating func write(_ batch: WriteBatch) -> WriteOutcome {
        // The span avoids copies: an array's iterator copies each write and retains every string in
        // it.
        let writes = batch.writes.span
        var refused = RefusedWrites()
        self.prefetch(writes)
        for index in writes.indices where !refused.refuses(writes[index].conversation, at: index) {
            if let refusal = self.apply(writes[index], by: batch.owner) {
                refused.record(refusal, of: writes[index].conversation, at: index)
            }
        }
        return refused.outcome
    }

    /// Prefetches the memory that the writes of a batch will use. With 100,000 conversations,
    /// almost none of it is in the CPU cache.
    ///
    /// There are three rounds, because each address depends on the round before.
    private mutating func prefetch(_ writes: Span<Write>) {
        guard writes.count > 1 else { return }
        for index in writes.indices {
            Prefetch.element(writes[index].shard, of: self.fences)
            self.directory.prefetch(hash: writes[index].conversation.hash)
        }
        withUnsafeTemporaryAllocation(of: Int.self, capacity: writes.count) { slots in
            var count = 0
            for index in writes.indices {
                guard let slot = self.directory.likelySlot(hash: writes[index].conversation.hash)
                else { continue }
                Prefetch.element(
                    Int(slot), of: self.conversations, bytes: MemoryConversation.hotBytes)
                slots[count] = Int(slot)
                count += 1
            }
            for slot in slots[..<count] { self.conversations[slot].prefetch(history: self.history) }
        }
    }

    private mutating func createConversation(_ write: Write) -> WriteRefusal? {
        if let refusal = write.refusalWithoutConversation { return refusal }
        if case .create(let record) = write.change {
            self.conversations.append(MemoryConversation(key: write.conversation, record: record))
            self.directory.insert(
                UInt32(self.conversations.count - 1), hash: write.conversation.hash)
            self.lists.recordCreation(record, at: write.conversation)
        }
        return nil
    }

    private func fence(of shard: Int) -> ShardFence {
        self.fences.indices.contains(shard) ? self.fences[shard] : .unclaimed
    }

    @inline(__always)
    private func slot(of key: ConversationKey) -> Int? {
        self.directory.slot(hash: key.hash) { self.conversations[Int($0)].key == key }.map(Int.init)
    }

    func conversation(_ key: ConversationKey) -> MemoryConversation? {
        self.slot(of: key).map { self.conversations[$0] }
    }
}

extension MessagePage {
    /// The page of a conversation that does not exist.
    static let empty = MessagePage(messages: [], head: 0, oldest: 1, revision: 0)
}
