public import Bytes

/// What a guest token says of its bearer beside who it is.
public enum GuestRole: String, Sendable {
    /// It has joined the token's conversation.
    case member
    /// It has made the token's conversation: by its id nobody else becomes the creator.
    case creator
}

/// Signs the tokens that anonymous users get by REST, and recognises them.
///
/// A guest token names one guest and one conversation, for an hour. It has a key id of its own: no other key is tried for it, and this key
/// for nothing else, so that no issuer of tokens can make a guest, and no guest token a user.
public struct GuestKey: Sendable, CustomStringConvertible {
    private let key: HMACKey

    /// The `kid` of guest tokens.
    static let keyID = "confab-guest"
    /// How long a guest token is good.
    public static let lifetimeSeconds: Int64 = 3600

    /// - Parameter secret: of which nothing shows in what is signed; the same on all nodes.
    public init(derivedFrom secret: [UInt8], cluster name: String) {
        let label = Array("confab guest key v1 \(name)".utf8)
        self.key = HMACKey(label.withUnsafeBytes { HMACKey(secret).sign($0) })
    }

    /// A guest's token for one conversation, good from now on for `lifetimeSeconds`.
    ///
    /// - Parameters:
    ///   - user: the guest's id, as it says it itself: without the mark that others are shown.
    ///   - name: its display name.
    /// - Throws: `TokenError.badClaim` where the id, the name or the conversation breaks its rule.
    public func token(
        for user: ByteString, named name: ByteString, in conversation: ByteString,
        as role: GuestRole, at now: Timestamp
    ) throws(TokenError) -> String {
        var claims = Claims(
            subject: user.string, username: name.string, grants: .listed([conversation]),
            expiry: Timestamp(milliseconds: (now.seconds + Self.lifetimeSeconds) * 1000))
        claims.guest = role
        return try TokenSigner(self.key, keyID: Self.keyID).sign(claims)
    }

    func isValid(_ signature: [UInt8], of message: UnsafeRawBufferPointer) -> Bool {
        self.key.isValid(signature, of: message)
    }

    public var description: String { "a guest key" }
}
