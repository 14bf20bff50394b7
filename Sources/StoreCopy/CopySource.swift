import ChatModel
import EmbeddedStore
import Synchronization
import Telemetry

/// The store that is copied. Each function blocks until the store has answered.
struct CopySource {
    private let store: SQLiteStore

    init(_ store: SQLiteStore) {
        self.store = store
    }

    /// The ids of all conversations, in the order of their creation.
    func keys() throws -> [ConversationKey] {
        var keys: [ConversationKey] = []
        var page = ConversationKeyPage()
        repeat {
            let answer = try self.answer(
                .conversations(after: page.next, limit: StoreRequest.listLimit))
            guard case .conversations(let next) = answer else { throw Self.unexpected(answer) }
            page = next
            keys += page.keys
        } while page.next != nil
        return keys
    }

    func conversation(_ key: ConversationKey) throws -> LoadedConversation {
        let answer = try self.answer(.load(key))
        guard case .loaded(let conversation?) = answer else { throw Self.unexpected(answer) }
        return conversation
    }

    /// The messages above a number, in order; at least one if there are any.
    func messages(of key: ConversationKey, after number: SequenceNumber, limit: Int) throws
        -> [Message]
    {
        let answer = try self.answer(.page(key, .after(number), limit: limit))
        guard case .page(let page) = answer else { throw Self.unexpected(answer) }
        return page.messages
    }

    func bans() throws -> [Ban] {
        let answer = try self.answer(.bans)
        guard case .bans(let bans, let damaged) = answer else { throw Self.unexpected(answer) }
        if let failure = damaged.first { throw failure }
        return bans
    }

    func numbers() throws -> [TenantNumberList] { try self.store.tenantNumbers() }

    private func answer(_ request: StoreRequest) throws -> StoreAnswer {
        let waiter = BlockingStoreClient()
        self.store.submit(request, ticket: 0, for: waiter)
        let answer = waiter.wait()
        if case .failed(let failure) = answer { throw failure }
        return answer
    }

    private static func unexpected(_ answer: StoreAnswer) -> StoreFailure {
        StoreFailure("the database has changed during the copy")
    }
}

/// Waits for the answer to one request.
private final class BlockingStoreClient: StoreClient {
    private let received = Mutex<StoreAnswer?>(nil)
    private let completion = Semaphore()

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        self.received.withLock { $0 = answer }
        self.completion.post()
    }

    func wait() -> StoreAnswer {
        self.completion.wait()
        guard let answer = self.received.withLock({ $0.take() }) else {
            preconditionFailure("a request to the store has ended without an answer")
        }
        return answer
    }
}
