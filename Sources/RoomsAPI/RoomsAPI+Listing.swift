internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import JSON
internal import RoomsDialect

/// The list of conversations that anybody of the tenant may find.
extension RoomsAPI {
    private struct ListedConversation {
        let id: ByteString
        let description: ConversationDetails

        var cursor: PageCursor { PageCursor(time: self.description.record.createdAt, id: self.id) }
    }

    /// What the catalog may have to be asked for one page: entries of what has just ended are left out, and there may be many.
    private static let catalogReadLimit = 4

    func list(_ wish: ListQuery, for caller: RoomsCaller) async throws(HTTPError) -> HTTPResponse {
        var found: [ListedConversation] = []
        var next = wish.after
        // One more than is wanted tells whether there is another page.
        for _ in 0..<Self.catalogReadLimit where found.count <= wish.limit {
            let request = StoreRequest.catalog(
                tenant: caller.tenant, after: next, limit: wish.limit + 1 - found.count)
            guard case .catalog(let page) = try await self.read(request) else {
                throw .chatUnavailable
            }
            found += try await self.describe(page.entries.map(\.key.id), for: caller)
            next = page.next
            if next == nil { break }
        }
        if found.count > wish.limit {
            found = Array(found.prefix(wish.limit))
            next = found.last?.cursor
        }
        let cursor = next.map(CatalogCursor.encode)
        return Self.response { text in
            text.append(#","conversations":["#)
            for (place, listed) in found.enumerated() {
                if place > 0 { text.append(",") }
                text.append(room: listed.id, listed.description)
            }
            text.append(#"],"next_cursor":"#)
            if let cursor { text.append(jsonString: cursor) } else { text.append("null") }
        }
    }

    /// Asks the owner of each, all at once and in the order of the catalog: who is in a conversation, and who is there, only owners know.
    ///
    /// What has ended or gone since the catalog was read is left out.
    private func describe(_ ids: [ByteString], for caller: RoomsCaller) async throws(HTTPError)
        -> [ListedConversation]
    {
        let answers = await withTaskGroup(of: (Int, Result<ChatAnswer, HTTPError>).self) { group in
            for (place, id) in ids.enumerated() {
                group.addTask {
                    do throws(HTTPError) {
                        return (
                            place,
                            .success(
                                try await self.submit(
                                    .describe(by: caller.viewer, readAccess: .anyoneIfOpen), in: id,
                                    of: caller))
                        )
                    } catch {
                        return (place, .failure(error))
                    }
                }
            }
            var answers = [Result<ChatAnswer, HTTPError>?](repeating: nil, count: ids.count)
            for await (place, answer) in group { answers[place] = answer }
            return answers
        }
        var listed: [ListedConversation] = []
        for (id, answer) in zip(ids, answers) {
            switch try answer?.get() {
            case .described(let description) where description.record.isInCatalog:
                listed.append(ListedConversation(id: id, description: description))
            case .failed(.unavailable), nil: throw .chatUnavailable
            default: continue
            }
        }
        return listed
    }
}
