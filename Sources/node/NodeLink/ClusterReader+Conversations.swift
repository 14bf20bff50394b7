internal import Bytes
public import ChatModel
internal import RedisClient
internal import RedisStore

/// Reads messages and events, for operators who cannot reach any node.
extension ClusterReader {
    /// Some messages of a conversation, oldest first, with its head.
    ///
    /// - Parameters:
    ///   - after: the messages after this number; nil for the newest ones.
    ///   - limit: the maximum number of messages.
    /// - Returns: nil if the conversation does not exist. A message that is missing in the stream
    ///   is left out; `unreadable` has the numbers of those that are not what was stored.
    /// - Throws: `ClusterReadError`.
    public func messages(of key: ConversationKey, after: Int?, limit: Int)
        throws(ClusterReadError) -> (page: MessagePage, unreadable: [Int])?
    {
        guard let stored = try self.head(of: key) else { return nil }
        let names = self.layout.messageKeys(of: key)
        let slot = RedisSlot(key: names.log)
        let first = after.map { $0 + 1 } ?? max(1, stored.head - limit + 1)
        let entries = try self.send([
            RedisQuery(slot, "XRANGE", names.log, "-", "+", "COUNT", "1"),
            RedisQuery(
                slot, "XRANGE", names.log, ByteString("\(first)"), ByteString("\(stored.head)"),
                "COUNT", ByteString("\(limit)")),
        ])
        var found: [(number: Int, value: String, references: String?)] = []
        var position = 0
        while let id = entries[1][position][0].text {
            let number = Int(id.prefix { $0 != "-" }) ?? 0
            let fields = entries[1][position][1]
            found.append((number, fields[1].text ?? "", fields[3].text))
            position += 1
        }
        let changes = try self.send(
            found.map { message in
                RedisQuery(slot, "HGET", names.amendments, ByteString("\(message.number)"))
            })
        var page = MessagePage(
            messages: [], head: stored.head,
            oldest: entries[0][0][0].text.flatMap { Int($0.prefix { $0 != "-" }) }
                ?? stored.head + 1, revision: stored.revision)
        var unreadable: [Int] = []
        for (index, message) in found.enumerated() {
            if let message = LayoutReader.message(
                message.number, message.value, references: message.references,
                amendment: changes[index].text)
            {
                page.messages.append(message)
            } else {
                unreadable.append(message.number)
            }
        }
        return (page, unreadable)
    }

    /// The cluster's events, oldest first.
    ///
    /// - Parameter id: the events after this one; nil for the newest ones.
    /// - Throws: `ClusterReadError`.
    public func events(after id: String?, limit: Int) throws(ClusterReadError) -> [NodeLink.Event] {
        let slot = RedisSlot(key: self.redisKeys.view)
        let count = ByteString("\(limit)")
        let query =
            id.map {
                RedisQuery(
                    slot, "XRANGE", self.redisKeys.events, ByteString("(\($0)"), "+", "COUNT",
                    count)
            } ?? RedisQuery(slot, "XREVRANGE", self.redisKeys.events, "+", "-", "COUNT", count)
        let reply = try self.send([query])[0]
        var events: [NodeLink.Event] = []
        var position = 0
        while let id = reply[position][0].text {
            let fields = reply[position][1]
            var details: [NodeLink.Event.Detail] = []
            var field = 0
            while let name = fields[field].text {
                details.append(NodeLink.Event.Detail(name, fields[field + 1].text ?? ""))
                field += 2
            }
            events.append(NodeLink.Event(id: id, details: details))
            position += 1
        }
        return id == nil ? events.reversed() : events
    }
}
