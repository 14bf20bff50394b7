internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import JSON
internal import RoomsDialect

/// The list of conversations that anybody of the tenant may find.
extension RoomsAPI {
    private struct Listed {
        let id: ByteString
        let description: Description

        var place: ListPlace { ListPlace(moment: self.description.record.createdAt, id: self.id) }
    }

    /// What the catalog may have to be asked for one page: entries of what has just ended are left out, and there may be many.
    private static let roundLimit = 4

    func list(_ wish: ListWish, for caller: RoomsCaller) async throws(HTTPError) -> SiteResponse {
        var found: [Listed] = []
        var next = wish.after
        // One more than is wanted tells whether there is another page.
        for _ in 0..<Self.roundLimit where found.count <= wish.limit {
            let request = StoreRequest.catalog(tenant: caller.tenant, after: next, limit: wish.limit + 1 - found.count)
            guard case .catalog(let page) = try await self.read(request) else { throw .away }
            found += try await self.describe(page.entries.map(\.key.id), to: caller)
            next = page.next
            if next == nil { break }
        }
        if found.count > wish.limit {
            found = Array(found.prefix(wish.limit))
            next = found.last?.place
        }
        let cursor = next.map(CatalogCursor.text)
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
    private func describe(_ ids: [ByteString], to caller: RoomsCaller) async throws(HTTPError) -> [Listed] {
        let answers = await withTaskGroup(of: (Int, Result<ChatAnswer, HTTPError>).self) { group in
            for (place, id) in ids.enumerated() {
                group.addTask {
                    do throws(HTTPError) {
                        return (place, .success(try await self.ask(.describe(by: caller.onlooker, guests: .ofOpen), in: id, of: caller)))
                    } catch {
                        return (place, .failure(error))
                    }
                }
            }
            var answers = [Result<ChatAnswer, HTTPError>?](repeating: nil, count: ids.count)
            for await (place, answer) in group { answers[place] = answer }
            return answers
        }
        var listed: [Listed] = []
        for (id, answer) in zip(ids, answers) {
            switch try answer?.get() {
            case .described(let description) where description.record.isInCatalog: listed.append(Listed(id: id, description: description))
            case .failed(.unavailable), nil: throw .away
            default: continue
            }
        }
        return listed
    }
}
