import ConfabClient

/// The users of a conversation that the client has seen, for mentions in typed lines.
struct PeopleList {
    /// User ids by the id and the display name, both in lower case.
    private var ids: [String: String] = [:]

    /// Later users are not known.
    private static let nameLimit = 2000

    mutating func record(_ user: String, named name: String) {
        guard !user.isEmpty, self.ids.count + 2 <= Self.nameLimit else { return }
        self.ids[user.lowercased()] = user
        self.ids[name.lowercased()] = user
    }

    /// The users that a line mentions: `@` and a known name or id, at the beginning of a word.
    /// `@all` mentions every member.
    func mentioned(in line: String) -> MentionedUsers {
        var users: [String] = []
        var previous: Character = " "
        for (index, character) in zip(line.indices, line) {
            defer { previous = character }
            guard character == "@", !Self.continuesWord(previous) else { continue }
            let rest = line[line.index(after: index)...].lowercased()
            if Self.begins(rest, with: "all") { return .all }
            // Of "Ann" and "Ann Lee", the longer name is meant.
            let name = self.ids.keys.filter { Self.begins(rest, with: $0) }.max {
                ($0.count, $0) < ($1.count, $1)
            }
            if let user = name.flatMap({ self.ids[$0] }), !users.contains(user) {
                users.append(user)
            }
        }
        return .users(users)
    }

    /// Whether a text begins with a name that ends there.
    private static func begins(_ text: String, with name: String) -> Bool {
        guard text.hasPrefix(name) else { return false }
        return text.dropFirst(name.count).first.map { !self.continuesWord($0) } ?? true
    }

    private static func continuesWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }
}
