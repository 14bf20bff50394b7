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

        var cursor: PageCursor { PageCursor(time: self.description.record.createdAt, id: self.id) }
    }

    /// The maximum number of catalog reads for one page. Recently ended conversations are skipped,
    /// and there may be many.
    private static let catalogReadLimit = 4

    func list(_ query: ListQuery, for caller: RoomsCaller) async throws(HTTPError) -> HTTPResponse {
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
        return Self.response { text in
            text.append(#","conversations":["#)
            for (index, listed) in found.enumerated() {
                if index > 0 { text.append(",") }
                text.append(room: listed.id, listed.description)
            }
            text.append(#"],"next_cursor":"#)
            if let cursor { text.append(jsonString: cursor) } else { text.append("null") }
        }
    }

    /// Queries the owners of all conversations concurrently and keeps the order of the catalog:
    /// only owners know the participants and who is online.
    ///
    /// Conversations that have ended or disappeared since the catalog was read are skipped.
    private func describe(_ ids: [ByteString], for caller: RoomsCaller) async throws(HTTPError)
        -> [ListedConversation]
    {
        let answers = await withTaskGroup(of: (Int, Result<ChatAnswer, HTTPError>).self) { group in
            for (index, id) in ids.enumerated() {
                group.addTask {
                    do throws(HTTPError) {
                        return (
                            index,
                            .success(
                                try await self.submit(
                                    .describe(by: caller.viewer, readAccess: .anyoneIfOpen), in: id,
                                    of: caller))
                        )
                    } catch {
                        return (index, .failure(error))
                    }
                }
            }
            var answers = [Result<ChatAnswer, HTTPError>?](repeating: nil, count: ids.count)
            for await (index, answer) in group { answers[index] = answer }
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
