/// Who is here besides oneself.
struct PresenceList {
    enum PresenceTransition: Equatable {
        case joined, left
    }

    /// What each is called, by id.
    private var names: [String: String] = [:]
    /// In a crowd the server counts and names nobody.
    private(set) var onlineCount: Int?

    /// Beyond it nobody wants to read names.
    private static let nameLimit = 1000

    /// Nil when that was known.
    mutating func record(_ user: String, named name: String, isOnline: Bool) -> PresenceTransition?
    {
        self.onlineCount = nil
        guard isOnline else { return self.names.removeValue(forKey: user) == nil ? nil : .left }
        guard self.names.count < Self.nameLimit else { return nil }
        return self.names.updateValue(name, forKey: user) == nil ? .joined : nil
    }

    mutating func record(onlineCount count: Int) {
        self.onlineCount = count
        self.names = [:]
    }

    /// A sentence; `others` are counted without oneself.
    var sentence: String {
        if let count = self.onlineCount { return "\(count) people are here." }
        if self.names.isEmpty { return "Nobody else is here." }
        return
            "Here: \(self.names.values.sorted().map { SafeText.line($0, limit: 128) }.joined(separator: ", "))."
    }
}
