public import Bytes

/// Who a user is inside its tenant.
///
/// An anonymous user is keyed apart from the token user of the same name, so that nobody becomes `alice` by
/// saying so: its key starts with a control character, which no token may have. What others are shown differs, too: `guest:alice`.
public struct UserID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Of users who say themselves who they are, and of those whom the server has named: the id of the latter nobody can take.
    private static let claimedMark: UInt8 = 1
    private static let assignedMark: UInt8 = 2

    /// What the id of an anonymous user begins with where others see it. No token names a user so.
    public static let guestPrefix = "guest:"

    /// The text that stores and maps know the user by.
    public let storageKey: ByteString

    /// The user that a token names in `sub`.
    public init(tokenSubject sub: ByteString) {
        self.storageKey = sub
    }

    /// A user without a token, who says to be `name`.
    public init(anonymous name: ByteString) {
        self.storageKey = ByteString("\(Character(Unicode.Scalar(Self.claimedMark)))\(name.string)")
    }

    /// A user without a token, whom the server calls `name`.
    public init(assigned name: ByteString) {
        self.storageKey = ByteString(
            "\(Character(Unicode.Scalar(Self.assignedMark)))\(name.string)")
    }

    /// The user that others are shown by this text.
    public init(displayID text: ByteString) {
        let name = text.string.utf8.dropFirst(Self.guestPrefix.utf8.count)
        self =
            text.string.utf8.starts(with: Self.guestPrefix.utf8)
            ? Self(anonymous: ByteString(String(name) ?? "")) : Self(tokenSubject: text)
    }

    /// The user that a store knows by this text.
    public init(storageKey key: ByteString) {
        self.storageKey = key
    }

    public var isAnonymous: Bool {
        let mark = self.storageKey.string.utf8.first
        return mark == Self.claimedMark || mark == Self.assignedMark
    }

    /// Whether the server has named this anonymous user.
    public var isAssigned: Bool { self.storageKey.string.utf8.first == Self.assignedMark }

    /// The id without a mark: what a token says, or what an anonymous user says or is told. Two users may have the same.
    public var name: ByteString {
        self.isAnonymous
            ? ByteString(String(self.storageKey.string.unicodeScalars.dropFirst()))
            : self.storageKey
    }

    /// What other people see as this user's id: no two users have the same, but for anonymous ones.
    public var displayID: ByteString { self.displayID(named: self.name) }

    /// What other people see of this user, where a protocol shows a name in the place of an id.
    public func displayID(named name: ByteString) -> ByteString {
        self.isAnonymous ? ByteString("\(Self.guestPrefix)\(name)") : name
    }

    public var description: String {
        self.isAnonymous ? "anonymous \(self.name)" : self.storageKey.string
    }

    public static func < (left: UserID, right: UserID) -> Bool {
        left.storageKey < right.storageKey
    }
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
