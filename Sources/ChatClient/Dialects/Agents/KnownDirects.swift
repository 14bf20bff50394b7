/// Messages from agent to agent that were shown: one whose connection broke before the server knew that it had arrived comes again.
struct KnownDirects {
    private struct Name: Hashable {
        let sender: String
        let id: String?
        let timestamp: String?
    }

    private var names: Set<Name> = []
    private var inOrder: [Name] = []

    /// Beyond it the oldest is forgotten.
    private static let limit = 1000

    /// False when this one was shown.
    mutating func isNew(from sender: String, _ id: String?, _ timestamp: String?) -> Bool {
        let name = Name(sender: sender, id: id, timestamp: timestamp)
        guard self.names.insert(name).inserted else { return false }
        self.inOrder.append(name)
        if self.inOrder.count > Self.limit { self.names.remove(self.inOrder.removeFirst()) }
        return true
    }
}
