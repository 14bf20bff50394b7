public import Bytes

/// Identifies a user inside its tenant.
///
/// An anonymous user never equals the token user of the same name, so that a client cannot become
/// `alice` by claiming that name. The storage key of an anonymous user starts with a control
/// character, which no token may contain. The id that other users see differs too: `guest:alice`.
public struct UserID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The first bytes of the storage keys of anonymous users. The first is for names that users
    /// claim. The second is for names that the server assigned, so that no user can claim them.
    private static let claimedMark: UInt8 = 1
    private static let assignedMark: UInt8 = 2

    /// The prefix of an anonymous user's id as other users see it. No token names such a user.
    public static let guestPrefix = "guest:"

    /// The text by which stores and maps know the user.
    public let storageKey: ByteString

    /// The user that a token names in `sub`.
    public init(tokenSubject subject: ByteString) {
        self.storageKey = subject
    }

    /// A user without a token that claims `name`.
    public init(anonymous name: ByteString) {
        self.storageKey = ByteString("\(Character(Unicode.Scalar(Self.claimedMark)))\(name.string)")
    }

    /// A user without a token that the server named `name`.
    public init(assigned name: ByteString) {
        self.storageKey = ByteString(
            "\(Character(Unicode.Scalar(Self.assignedMark)))\(name.string)")
    }

    /// The user that other users see under this id.
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

    /// Whether the server named this anonymous user.
    public var isAssigned: Bool { self.storageKey.string.utf8.first == Self.assignedMark }

    /// The id without a mark: the token's `sub`, or the name of an anonymous user. Two users may
    /// have the same.
    public var name: ByteString {
        self.isAnonymous
            ? ByteString(String(self.storageKey.string.unicodeScalars.dropFirst()))
            : self.storageKey
    }

    /// The id that other users see. It is unique, except among anonymous users.
    public var displayID: ByteString { self.displayID(named: self.name) }

    /// The id that other users see in a protocol that shows a name in place of an id.
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

/// A user as other users see it.
public struct Person: Sendable, Hashable {
    public let id: UserID
    /// The display name.
    public let name: ByteString
    /// The agent that acts for the user; nil if the user acts itself.
    public let agent: ByteString?

    public init(id: UserID, name: ByteString, agent: ByteString? = nil) {
        self.id = id
        self.name = name
        self.agent = agent
    }
}
