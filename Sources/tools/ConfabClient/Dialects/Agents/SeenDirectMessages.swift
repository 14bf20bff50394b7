/// Direct messages that were displayed. The server sends one again if the connection broke before
/// the server knew that it had arrived.
struct SeenDirectMessages {
    private struct Key: Hashable {
        let sender: String
        let id: String?
        let timestamp: String?
    }

    private var keys: Set<Key> = []
    private var inOrder: [Key] = []

    /// How many are remembered; the oldest are dropped.
    private static let limit = 1000

    /// Returns false if the message was displayed already.
    mutating func isNew(from sender: String, _ id: String?, _ timestamp: String?) -> Bool {
        let name = Key(sender: sender, id: id, timestamp: timestamp)
        guard self.keys.insert(name).inserted else { return false }
        self.inOrder.append(name)
        if self.inOrder.count > Self.limit { self.keys.remove(self.inOrder.removeFirst()) }
        return true
    }
}
