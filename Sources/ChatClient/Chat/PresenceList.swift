/// Who is here besides oneself.
struct PresenceList {
    enum Change: Equatable {
        case joined, left
    }

    private(set) var names: Set<String> = []
    /// In a crowd the server counts and names nobody.
    private(set) var crowdCount: Int?

    /// Beyond it nobody wants to read names.
    private static let nameLimit = 1000

    /// Nil when that was known.
    mutating func note(_ user: String, isOnline: Bool) -> Change? {
        self.crowdCount = nil
        guard isOnline else { return self.names.remove(user) == nil ? nil : .left }
        guard self.names.count < Self.nameLimit else { return nil }
        return self.names.insert(user).inserted ? .joined : nil
    }

    mutating func note(crowd count: Int) {
        self.crowdCount = count
        self.names = []
    }

    /// A sentence; `others` are counted without oneself.
    var sentence: String {
        if let count = self.crowdCount { return "\(count) people are here." }
        if self.names.isEmpty { return "Nobody else is here." }
        return "Here: \(self.names.sorted().map { SafeText.line($0, limit: 128) }.joined(separator: ", "))."
    }
}
