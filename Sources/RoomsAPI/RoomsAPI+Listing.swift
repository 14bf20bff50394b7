internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import JSON
internal import RoomsDialect

/// The list of conversations that every user of the tenant may find.
extension RoomsAPI {
    private struct ListedConversation {
        let id: ByteString
        let description: ConversationDetails
        let lastMessage: Message?

        var cursor: PageCursor { PageCursor(time: self.description.record.createdAt, id: self.id) }
    }

    /// The maximum number of catalog reads for one page. Recently ended conversations are skipped,
    /// and there may be many.
    private static let catalogReadLimit = 4

    func list(_ query: ListQuery, for caller: RoomsCaller, ifNoneMatch: String?)
        async throws(HTTPError) -> HTTPResponse
    {
        var found: [ListedConversation] = []
        var next = query.after
        // One entry more than the limit shows whether there is another page.
        for _ in 0..<Self.catalogReadLimit where found.count <= query.limit {
            let request = StoreRequest.catalog(
                tenant: caller.tenant, after: next, limit: query.limit + 1 - found.count)
            guard case .catalog(let page) = try await self.read(request) else {
                throw .chatUnavailable
            }
            found += try await self.describe(page.entries.map(\.key.id), for: caller)
            next = page.next
            if next == nil { break }
        }
        if found.count > query.limit {
            found = Array(found.prefix(query.limit))
            next = found.last?.cursor
        }
        let cursor = next.map(CatalogCursor.encode)
        return Self.revalidatedResponse(ifNoneMatch: ifNoneMatch) { text in
            text.append(#","conversations":["#)
            for (index, listed) in found.enumerated() {
                if index > 0 { text.append(",") }
                text.append(
                    room: listed.id, listed.description, messageCount: listed.description.head,
                    lastMessage: listed.lastMessage)
            }
            text.append(#"],"next_cursor":"#)
            if let cursor { text.append(jsonString: cursor) } else { text.append("null") }
        }
    }

    /// Queries the owners of all conversations concurrently and keeps the order of the catalog:
    /// only owners know the participants and who is online.
    private func describe(_ ids: [ByteString], for caller: RoomsCaller) async throws(HTTPError)
        -> [ListedConversation]
    {
        let found = await withTaskGroup(of: FoundConversation.self) { group in
            for (index, id) in ids.enumerated() {
                group.addTask { await self.found(id, at: index, for: caller) }
            }
            var found: [FoundConversation] = []
            for await conversation in group { found.append(conversation) }
            return found.sorted { $0.index < $1.index }
        }
        var listed: [ListedConversation] = []
        for conversation in found {
            if let error = conversation.error { throw error }
            if let conversation = conversation.listed { listed.append(conversation) }
        }
        return listed
    }

    /// The answer about a conversation of the catalog, and its place in the list. It has a type,
    /// because optimised code of Swift 6.3 returns wrong indices in a tuple with a `Result`.
    private struct FoundConversation: Sendable {
        let index: Int
        var listed: ListedConversation?
        var error: HTTPError?
    }

    private func found(_ id: ByteString, at index: Int, for caller: RoomsCaller) async
        -> FoundConversation
    {
        do throws(HTTPError) {
            return FoundConversation(index: index, listed: try await self.listed(id, for: caller))
        } catch {
            return FoundConversation(index: index, error: error)
        }
    }

    /// A conversation of the catalog; nil if it has ended or disappeared since the catalog was
    /// read.
    private func listed(_ id: ByteString, for caller: RoomsCaller) async throws(HTTPError)
        -> ListedConversation?
    {
        let query = ChatCommand.describe(by: caller.viewer, readAccess: .anyoneIfOpen)
        switch try await self.submit(query, in: id, of: caller) {
        case .described(let description) where description.record.isInCatalog:
            return ListedConversation(
                id: id, description: description,
                lastMessage: try await self.lastMessage(of: description, in: id, for: caller))
        case .failed(.unavailable): throw .chatUnavailable
        default: return nil
        }
    }
}
