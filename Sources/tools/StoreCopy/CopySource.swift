import ChatModel
import EmbeddedStore
import NodeLink

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
        let answer = try self.answer(
            .page(key, .after(number), limit: PageLimit(messages: limit)))
        guard case .page(let page) = answer else { throw Self.unexpected(answer) }
        return page.messages
    }

    func bans() throws -> [Ban] {
        let answer = try self.answer(.bans)
        guard case .bans(let bans, let damaged) = answer else { throw Self.unexpected(answer) }
        if let failure = damaged.first { throw failure }
        return bans
    }

    /// Whether the outbox for webhooks has events or dead letters. A copy leaves them out.
    func hasUndeliveredEvents() throws -> Bool {
        let answer = try self.answer(.outbox(.scan(partitions: [])))
        guard case .outbox(.partitions(let partitions)) = answer else {
            throw Self.unexpected(answer)
        }
        return !partitions.isEmpty
    }

    func numbers() throws -> [TenantNumberList] { try self.store.tenantNumbers() }

    private func answer(_ request: StoreRequest) throws -> StoreAnswer {
        let answer = self.store.blockingAnswer(to: request)
        if case .failed(let failure) = answer { throw failure }
        return answer
    }

    private static func unexpected(_ answer: StoreAnswer) -> StoreFailure {
        StoreFailure("the database has changed during the copy")
    }
}
