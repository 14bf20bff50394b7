public import Bytes

/// The role of a guest in its conversation.
public enum GuestRole: String, Sendable {
    /// The guest joined the conversation of the token.
    case member
    /// The guest created the conversation of the token. Another user who has the same id does not
    /// become the creator.
    case creator
}

/// Signs and verifies the tokens that anonymous users get from the REST API.
///
/// A guest token is valid for one guest and one conversation, for an hour. It has its own key id. A
/// token with this id is verified only with this key, and this key verifies only such tokens. So no
/// other issuer can create a guest, and a guest token cannot name a regular user.
public struct GuestKey: Sendable, CustomStringConvertible {
    private let key: HMACKey

    /// The `kid` of guest tokens.
    static let keyID = "confab-guest"

    /// - Parameter secret: the same on all nodes. The signatures do not reveal it.
    public init(derivedFrom secret: [UInt8], cluster name: String) {
        let label = Array("confab guest key v1 \(name)".utf8)
        self.key = HMACKey(label.withUnsafeBytes { HMACKey(secret).sign($0) })
    }

    /// Creates a token for one guest and one conversation, valid for `Timestamp.guestLifetime`.
    ///
    /// - Parameters:
    ///   - user: the guest's own id, without the prefix that other users see.
    ///   - key: the key of the guest, as `randomKey` makes it. The same key is the same guest.
    ///   - name: its display name.
    /// - Throws: `TokenError.badClaim` if the id, the name or the conversation breaks its rule.
    public func token(
        for user: ByteString, withKey key: ByteString = Self.randomKey(), named name: ByteString,
        in conversation: ByteString, as role: GuestRole, at now: Timestamp
    ) throws(TokenError) -> String {
        var claims = Claims(
            subject: user.string, username: name.string, grants: .listed([conversation]),
            expiry: Timestamp(milliseconds: now.seconds * 1000 + Timestamp.guestLifetime))
        claims.guest = role
        claims.guestKey = key.string
        return try TokenSigner(self.key, keyID: Self.keyID).sign(claims)
    }

    /// Makes the key of a new guest: 48 random bits in base64url, so eight characters.
    public static func randomKey() -> ByteString {
        ByteString(Base64URL.encode((0..<6).map { _ in UInt8.random(in: 0...255) }))
    }

    func isValid(_ signature: [UInt8], of message: UnsafeRawBufferPointer) -> Bool {
        self.key.isValid(signature, of: message)
    }

    public var description: String { "a guest key" }
}
