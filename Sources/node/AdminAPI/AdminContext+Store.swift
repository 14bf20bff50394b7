internal import Bytes
internal import ChatEngine
internal import ChatModel
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The store and the owners of conversations, as operators' verbs use them.
extension AdminContext {
    func read(_ request: StoreRequest) async -> StoreAnswer? {
        await self.gateway?.read(request, within: Self.localTimeout)
    }

    func load(_ key: ConversationKey) async throws(HTTPError) -> LoadedConversation {
        switch await self.read(.load(key)) {
        case .loaded(let loaded?)?: return loaded
        case .loaded(nil)?: throw .unknownConversation(key)
        case let answer: throw .storeFailure(answer)
        }
    }

    /// Loads a conversation that operators may moderate. Inboxes are no conversations of users.
    func loadModerated(_ key: ConversationKey) async throws(HTTPError) -> LoadedConversation {
        guard !key.isInbox else { throw .unknownConversation(key) }
        return try await self.load(key)
    }

    func page(_ key: ConversationKey, _ range: PageRange, limit: Int)
        async throws(HTTPError) -> MessagePage
    {
        switch await self.read(
            .page(key, range, limit: PageLimit(messages: limit)))
        {
        case .page(let page)?: return page
        case let answer: throw .storeFailure(answer)
        }
    }

    func command(_ command: ChatCommand, in key: ConversationKey) async throws(HTTPError)
        -> ChatAnswer
    {
        // A send that is not stored fails after five seconds.
        guard
            let answer = await self.gateway?.operatorCommand(
                command, in: key, within: .seconds(7))
        else { throw .storeUnavailable }
        switch answer {
        case .failed(.noSuchConversation): throw .unknownConversation(key)
        case .failed(let error) where [.unavailable, .rejected, .outcomeUnknown].contains(error):
            throw HTTPError(.serviceUnavailable, error.description)
        case .failed(let error): throw HTTPError(.conflict, error.description)
        default: return answer
        }
    }

    /// The rows of the active bans of some users or conversations, the newest first.
    func activeBans(where concerns: (Ban.Subject) -> Bool) async throws(HTTPError) -> [JSONTree] {
        Ban.rows(of: try await self.storedBans(), at: WallClock.now, where: concerns)
    }

    func storedBans() async throws(HTTPError) -> [Ban] {
        switch await self.read(.bans) {
        case .bans(let bans, _)?: return bans
        case let answer: throw .storeFailure(answer)
        }
    }
}

extension HTTPError {
    static func unknownConversation(_ key: ConversationKey) -> HTTPError {
        HTTPError(.notFound, "There is no conversation \(key.id) in tenant \(key.tenant).")
    }

    static let storeUnavailable = HTTPError(.serviceUnavailable, "The store does not answer.")

    /// The error for an answer without the requested data; nil is a store that does not answer.
    static func storeFailure(_ answer: StoreAnswer?) -> HTTPError {
        switch answer {
        // The stored data is damaged, so another node could not read it either.
        case .failed(let failure)? where failure.isRequestSpecific:
            HTTPError(.conflict, failure.description)
        case .failed(let failure)?:
            HTTPError(.serviceUnavailable, "The store could not be read: \(failure.description)")
        default: .storeUnavailable
        }
    }
}
