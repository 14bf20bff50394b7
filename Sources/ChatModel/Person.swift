public import Bytes

/// Who a user is inside its tenant.
///
/// An anonymous user is keyed apart from the token user of the same name, so that nobody becomes `alice` by
/// saying so: its key starts with a control character, which no token may have.
public struct UserID: Sendable, Hashable, Comparable, CustomStringConvertible {
    private static let anonymousMark: Character = "\u{1}"

    /// The text that stores and maps know the user by.
    public let key: ByteString

    /// The user that a token names in `sub`.
    public init(token sub: ByteString) {
        self.key = sub
    }

    /// A user without a token, who says to be `name`.
    public init(anonymous name: ByteString) {
        self.key = ByteString("\(Self.anonymousMark)\(name.string)")
    }

    /// The user that a store knows by this text.
    public init(key: ByteString) {
        self.key = key
    }

    public var isAnonymous: Bool { self.key.string.first == Self.anonymousMark }

    /// What other people see as this user's id.
    public var shown: ByteString { self.isAnonymous ? ByteString(String(self.key.string.dropFirst())) : self.key }

    public var description: String { self.isAnonymous ? "anonymous \(self.shown)" : self.shown.string }

    public static func < (left: UserID, right: UserID) -> Bool { left.key < right.key }
}

/// A user as others meet it.
public struct Person: Sendable, Hashable {
    public let id: UserID
    /// The display name.
    public let name: ByteString
    /// The agent that acts for the user; nil where that is the user itself.
    public let agent: ByteString?

    public init(id: UserID, name: ByteString, agent: ByteString? = nil) {
        self.id = id
        self.name = name
        self.agent = agent
    }
}
