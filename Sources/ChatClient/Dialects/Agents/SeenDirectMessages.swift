/// Messages from agent to agent that were shown: one whose connection broke before the server knew that it had arrived comes again.
struct SeenDirectMessages {
    private struct Key: Hashable {
        let sender: String
        let id: String?
        let timestamp: String?
    }

    private var keys: Set<Key> = []
    private var inOrder: [Key] = []

    /// Beyond it the oldest is forgotten.
    private static let limit = 1000

    /// False when this one was shown.
    mutating func isNew(from sender: String, _ id: String?, _ timestamp: String?) -> Bool {
        let name = Key(sender: sender, id: id, timestamp: timestamp)
        guard self.keys.insert(name).inserted else { return false }
        self.inOrder.append(name)
        if self.inOrder.count > Self.limit { self.keys.remove(self.inOrder.removeFirst()) }
        return true
    }
}
