public import ChatModel
import Synchronization

/// Waits for one answer.
private final class Question: StoreClient {
    private let continuation: Mutex<CheckedContinuation<StoreAnswer, Never>?>

    init(_ continuation: CheckedContinuation<StoreAnswer, Never>) {
        self.continuation = Mutex(continuation)
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        guard let continuation = self.continuation.withLock({ $0.take() }) else {
            preconditionFailure("ticket \(ticket) was answered twice")
        }
        continuation.resume(returning: answer)
    }
}

extension ChatStore {
    /// Submits a request and waits for its answer.
    public func ask(_ request: StoreRequest) async -> StoreAnswer {
        await withCheckedContinuation { self.submit(request, ticket: 1, for: Question($0)) }
    }

    /// Claims a shard; 0 if that failed.
    public func claim(_ shard: Int, by owner: OwnerID) async -> Epoch {
        if case .claimed(let epoch) = await self.ask(.claim(shard: shard, owner: owner)) { epoch } else { 0 }
    }

    public func load(_ key: ConversationKey) async -> LoadedConversation? {
        if case .loaded(let loaded) = await self.ask(.load(key)) { loaded } else { nil }
    }

    public func page(_ key: ConversationKey, _ range: PageRange, limit: Int = 1000) async -> Page? {
        if case .page(let page) = await self.ask(.page(key, range, limit: limit)) { page } else { nil }
    }

    public func changes(_ key: ConversationKey, after: SequenceNumber, since: Revision, limit: Int = 1000) async -> Page? {
        if case .page(let page) = await self.ask(.changes(key, after: after, since: since, limit: limit)) { page } else { nil }
    }

    public func unread(_ key: ConversationKey, after: SequenceNumber, by user: UserID) async -> Int? {
        if case .unread(let count) = await self.ask(.unread(key, after: after, by: user)) { count } else { nil }
    }

    public func recent(_ key: ConversationKey, limit: Int) async -> [RecentMessage]? {
        if case .recent(let messages) = await self.ask(.recent(key, limit: limit)) { messages } else { nil }
    }

    /// Nil if the store failed.
    public func write(_ writes: [Write], by owner: OwnerID) async -> WriteOutcome? {
        if case .written(let outcome) = await self.ask(.write(WriteBatch(owner: owner, writes: writes))) { outcome } else { nil }
    }
}

extension ConversationKey {
    /// The shard that a conversation belongs to.
    public var shard: Int { Shard.of(self) }
}
