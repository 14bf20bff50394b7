internal import Bytes
internal import JSON

/// The user that a token names, read without verifying the signature.
///
/// The client only uses it to recognise the user's own messages; the server verifies the token.
public struct UnverifiedTokenClaims: Sendable, Equatable {
    /// The token's subject, and the id that other users see.
    public let user: String
    public let displayedUser: String
    /// The key that distinguishes a guest from others of its id; nil for other users.
    public let guestKey: String?
    /// The display name.
    public let name: String
    /// The id that other users see in the Agents protocol.
    public let agent: String

    /// When the token expires, in seconds since 1970; nil if it does not.
    public let expiry: Double?

    /// Returns nil when the text is not a JSON Web Token with a subject.
    init?(token: String) {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64URL.decode(Array(parts[1])),
            let claims = try? JSONTree(parsing: payload.span.bytes),
            let user = claims["sub"]?.stringValue
        else { return nil }
        self.user = user
        self.name = (claims["username"] ?? claims["name"])?.stringValue ?? user
        // Servers prefix the ids of guests, so that a guest cannot be mistaken for a user with the
        // same id.
        let isGuest = ["member", "creator"].contains(claims["guest"]?.stringValue)
        self.displayedUser = isGuest ? "guest:\(user)" : user
        self.guestKey = isGuest ? claims["guest_key"]?.stringValue : nil
        self.expiry = claims["exp"]?.doubleValue
        self.agent = claims["agent_id"]?.stringValue ?? self.displayedUser
    }
}
