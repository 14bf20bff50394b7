import ConfabClient

/// The other users who are online.
struct PresenceList {
    enum PresenceTransition: Equatable {
        case joined, left
    }

    /// Display names by user id.
    private var names: [String: String] = [:]
    /// In large conversations the server reports only a count, without names.
    private(set) var onlineCount: Int?

    /// The list of names would be too long to read.
    private static let nameLimit = 1000

    /// Returns nil if nothing has changed.
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

    /// A sentence for the display. The user is not in the names, but is in the count.
    var summary: String {
        if let count = self.onlineCount { return "\(count) users are online." }
        if self.names.isEmpty { return "No one else is online." }
        let names = self.names.values.sorted().map { SafeText.line($0, limit: 128) }
        return "Online: \(names.joined(separator: ", "))."
    }
}
