public import Bytes
public import ChatModel
import Synchronization

/// Submits requests and collects their answers in the order of arrival.
public final class AnswerCollector: StoreClient {
    private struct State {
        var nextTicket: UInt64 = 0
        var pending: Set<StoreTicket> = []
        var answers: [(ticket: StoreTicket, answer: StoreAnswer)] = []
        var waiter: (count: Int, continuation: CheckedContinuation<Void, Never>)?
    }

    private let state = Mutex(State())

    public init() {}

    /// Submits a request; the tickets are 0, 1, 2, …
    public func submit(_ request: StoreRequest, to store: some ChatStore) {
        let ticket = self.state.withLock { state in
            let ticket = StoreTicket(rawValue: state.nextTicket)
            state.nextTicket += 1
            state.pending.insert(ticket)
            return ticket
        }
        store.submit(request, ticket: ticket, for: self)
    }

    public func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        self.state.withLock { state in
            precondition(
                state.pending.remove(ticket) != nil, "the request \(ticket) was answered twice")
            state.answers.append((ticket, answer))
            if let waiting = state.waiter, state.answers.count >= waiting.count {
                state.waiter = nil
                waiting.continuation.resume()
            }
        }
    }

    /// The answers that have arrived.
    public var answers: [(ticket: StoreTicket, answer: StoreAnswer)] {
        self.state.withLock { $0.answers }
    }

    /// Waits until this many answers have arrived.
    public func answers(_ count: Int) async -> [(ticket: StoreTicket, answer: StoreAnswer)] {
        await withCheckedContinuation { continuation in
            self.state.withLock { state in
                if state.answers.count >= count {
                    continuation.resume()
                } else {
                    state.waiter = (count, continuation)
                }
            }
        }
        return self.answers
    }
}

extension ChatStore {
    /// Submits a request and waits for its answer.
    public func request(_ request: StoreRequest) async -> StoreAnswer {
        let collector = AnswerCollector()
        collector.submit(request, to: self)
        return await collector.answers(1)[0].answer
    }

    /// Claims a shard; 0 if the claim failed.
    public func claim(_ shard: Int, by owner: LoopID) async -> Epoch {
        if case .claimed(let epoch) = await self.request(.claim(shard: shard, owner: owner)) {
            epoch
        } else {
            0
        }
    }

    public func load(_ key: ConversationKey) async -> LoadedConversation? {
        if case .loaded(let loaded) = await self.request(.load(key)) { loaded } else { nil }
    }

    public func page(_ key: ConversationKey, _ range: PageRange, limit: Int = 1000) async
        -> MessagePage?
    {
        await self.page(key, range, within: PageLimit(messages: limit))
    }

    public func page(_ key: ConversationKey, _ range: PageRange, within limit: PageLimit) async
        -> MessagePage?
    {
        if case .page(let page) = await self.request(.page(key, range, limit: limit)) {
            page
        } else {
            nil
        }
    }

    public func thread(
        _ key: ConversationKey, _ root: SequenceNumber, _ range: PageRange = .newest,
        limit: Int = 1000, bytes: Int = .max
    ) async -> MessagePage? {
        if case .page(let page) = await self.request(
            .thread(
                key, root: root, range, limit: PageLimit(messages: limit, bytes: bytes)))
        {
            page
        } else {
            nil
        }
    }

    /// Nil if the store failed, or has no search.
    public func search(
        _ key: ConversationKey, _ text: String, before: SequenceNumber? = nil, limit: Int = 100
    ) async -> SearchPage? {
        guard let query = SearchQuery(text),
            case .found(let page) = await self.request(
                .search(key, query, before: before, limit: limit))
        else { return nil }
        return page
    }

    public func changes(
        _ key: ConversationKey, after: SequenceNumber, since: Revision, limit: Int = 1000
    ) async -> MessagePage? {
        if case .page(let page) = await self.request(
            .changes(key, after: after, since: since, limit: limit))
        {
            page
        } else {
            nil
        }
    }

    public func amended(
        _ key: ConversationKey, through: SequenceNumber, since: Revision, limit: Int = 1000,
        bytes: Int = .max
    ) async -> MessagePage? {
        if case .page(let page) = await self.request(
            .amended(
                key, through: through, since: since,
                limit: PageLimit(messages: limit, bytes: bytes)))
        {
            page
        } else {
            nil
        }
    }

    public func unread(_ key: ConversationKey, after: SequenceNumber, by user: UserID) async -> Int?
    {
        if case .unread(let count) = await self.request(.unread(key, after: after, by: user)) {
            count
        } else {
            nil
        }
    }

    public func recent(_ key: ConversationKey, limit: Int) async -> [RecentMessage]? {
        if case .recent(let messages) = await self.request(.recent(key, limit: limit)) {
            messages
        } else {
            nil
        }
    }

    public func memberships(
        of name: String, in tenant: ByteString = "acme", after: ByteString? = nil, limit: Int = 100,
        unreadLimit: Int = 100
    ) async -> MembershipPage? {
        let request = StoreRequest.memberships(
            of: TestOwner.person(name).id, tenant: tenant, after: after, limit: limit,
            unreadLimit: unreadLimit)
        return if case .memberships(let page) = await self.request(request) { page } else { nil }
    }

    public func catalog(of tenant: ByteString = "acme", after: PageCursor? = nil, limit: Int = 100)
        async -> CatalogPage?
    {
        if case .catalog(let page) = await self.request(
            .catalog(tenant: tenant, after: after, limit: limit))
        {
            page
        } else {
            nil
        }
    }

    public func numbers(of names: [String], in tenant: ByteString = "acme") async -> [Int]? {
        let request = StoreRequest.numbers(
            of: names.map { TestOwner.person($0).id }, tenant: tenant)
        return if case .numbers(let numbers) = await self.request(request) { numbers } else { nil }
    }

    public func users(numbered numbers: [Int], in tenant: ByteString = "acme") async -> [UserID?]? {
        if case .users(let users) = await self.request(.users(numbered: numbers, tenant: tenant)) {
            users
        } else {
            nil
        }
    }

    public func nextNumber(in tenant: ByteString = "acme") async -> Int? {
        if case .number(let number) = await self.request(.nextNumber(tenant: tenant)) {
            number
        } else {
            nil
        }
    }

    public func bans() async -> [Ban]? {
        if case .bans(let bans, damaged: []) = await self.request(.bans) { bans } else { nil }
    }

    /// Nil if the store failed.
    public func write(_ writes: [Write], by owner: LoopID) async -> WriteOutcome? {
        if case .written(let outcome) = await self.request(
            .write(WriteBatch(owner: owner, writes: writes)))
        {
            outcome
        } else {
            nil
        }
    }
}

extension ConversationKey {
    public var shard: Int { Shard.of(self) }
}
