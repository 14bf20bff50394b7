import ChatModel

extension SQLiteReader {
    /// The number of messages that are read together during a search.
    private static let scanStep = 256

    func search(
        _ query: SearchQuery, in snapshot: ConversationSnapshot, before: SequenceNumber?, limit: Int
    ) throws(StorageFault) -> SearchPage {
        var scan = SearchScan(query, limit: limit)
        var end = min(before ?? .max, snapshot.head + 1)
        while end > snapshot.oldest, !scan.isComplete {
            let messages = try self.messages(of: snapshot, .before(end), limit: Self.scanStep)
            for message in messages.reversed() where !scan.isComplete { scan.examine(message) }
            end = messages.first?.sequence ?? snapshot.oldest
        }
        return scan.page(oldest: snapshot.oldest)
    }
}
