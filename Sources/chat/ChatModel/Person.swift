public import Bytes

/// Identifies a user inside its tenant.
///
/// An anonymous user never equals the token user of the same name, so that a client cannot become
/// `alice` by claiming that name. The storage key of an anonymous user starts with a control
/// character, which no token may contain. The id that other users see differs too: `guest:alice`.
///
/// Two guests of one name are two users, with different keys. The node gives the key to a
/// connection, or to the bearer of a guest token, and no client can choose it. So every right that
/// depends on the user depends on the key, and a client that only knows the name is another guest.
public struct UserID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The first bytes of the storage keys of anonymous users. The first is for names that requests
    /// claim without any proof. The second is for names that the server assigned, so that no user
    /// can claim them. The others are for guests with a key, which follows the mark.
    private static let claimedMark: UInt8 = 1
    private static let assignedMark: UInt8 = 2
    private static let connectionMark: UInt8 = 3
    private static let tokenMark: UInt8 = 4

    /// The proof that a guest is the one with its key.
    public enum GuestProof: Sendable {
        /// The connection for which the node made the key, and the connections that resume it.
        case connection
        /// A guest token.
        case token
    }

    /// The bytes of a guest's key: base64url, so 48 bits.
    public static let guestKeyBytes = 8

    /// The prefix of an anonymous user's id as other users see it. No token names such a user.
    public static let guestPrefix = "guest:"

    /// The text by which stores and maps know the user.
    public let storageKey: ByteString

    /// The user that a token names in `sub`.
    public init(tokenSubject subject: ByteString) {
        self.storageKey = subject
    }

    /// A user without a token that claims `name` and proves nothing. It has no rights but to speak
    /// where a guest of this name is a member.
    public init(anonymous name: ByteString) {
        self.storageKey = ByteString("\(Character(Unicode.Scalar(Self.claimedMark)))\(name.string)")
    }

    /// A guest.
    ///
    /// - Parameter key: `guestKeyBytes` bytes of ASCII.
    public init(guest name: ByteString, key: ByteString, provenBy proof: GuestProof) {
        precondition(key.byteCount == Self.guestKeyBytes, "A guest's key has another size: \(key)")
        let mark = proof == .connection ? Self.connectionMark : Self.tokenMark
        self.storageKey = ByteString("\(Character(Unicode.Scalar(mark)))\(key)\(name)")
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

    private var mark: UInt8? {
        let mark = self.storageKey.string.utf8.first
        return mark.flatMap { (Self.claimedMark...Self.tokenMark).contains($0) ? $0 : nil }
    }

    public var isAnonymous: Bool { self.mark != nil }

    /// Whether this is a name that proves nothing.
    public var isClaimed: Bool { self.mark == Self.claimedMark }

    /// Whether a connection proves this guest, and nothing else can.
    public var isConnectionGuest: Bool { self.mark == Self.connectionMark }

    /// Whether a token or a connection proves this guest by a key.
    public var hasGuestKey: Bool { self.mark == Self.connectionMark || self.mark == Self.tokenMark }

    /// Eight characters by which readers tell guests of one name apart; nil for other users. It
    /// proves nothing. A guest without a key of its own has a hash.
    public var guestKey: ByteString? {
        guard self.isAnonymous else { return nil }
        if self.hasGuestKey {
            let key = self.storageKey.string.utf8.dropFirst().prefix(Self.guestKeyBytes)
            return ByteString(String(key) ?? "")
        }
        let hash = self.storageKey.withBytes { StableHash.fnv1a($0) }
        return ByteString(Hex.encode((0..<4).map { UInt8(truncatingIfNeeded: hash >> (8 * $0)) }))
    }

    /// Whether other users see this user under the id of the other. Guests of one name look alike,
    /// apart from their keys.
    public func looksLike(_ other: UserID) -> Bool {
        guard self.isAnonymous, other.isAnonymous else { return self == other }
        return self.nameBytes.elementsEqual(other.nameBytes)
    }

    private var nameBytes: Substring.UTF8View {
        let bytes = self.storageKey.string[...].utf8
        guard self.isAnonymous else { return bytes }
        return bytes.dropFirst(self.hasGuestKey ? 1 + Self.guestKeyBytes : 1)
    }

    /// Whether the server named this anonymous user.
    public var isAssigned: Bool { self.storageKey.string.utf8.first == Self.assignedMark }

    /// The id without a mark: the token's `sub`, or the name of an anonymous user. Two users may
    /// have the same.
    public var name: ByteString {
        self.isAnonymous ? ByteString(String(self.nameBytes) ?? "") : self.storageKey
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
