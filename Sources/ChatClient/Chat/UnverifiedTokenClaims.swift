internal import Bytes
internal import JSON

/// Who a token says its bearer is, read without a key: to know one's own messages, not to trust anybody.
struct UnverifiedTokenClaims: Equatable {
    /// As the token has it, and as others are shown it.
    let user: String
    let displayedUser: String
    /// What others call the user.
    let name: String
    /// As others are shown it: whom the user acts as in the Agents protocol.
    let agent: String

    /// Nil when the text is no JSON Web Token with a subject.
    init?(token: String) {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64URL.decode(Array(parts[1])),
            let claims = try? JSONTree(parsing: payload.span.bytes),
            let user = claims["sub"]?.stringValue
        else { return nil }
        self.user = user
        self.name = (claims["username"] ?? claims["name"])?.stringValue ?? user
        // A guest token: such a user is shown apart from others of its id.
        let isGuest = ["member", "creator"].contains(claims["guest"]?.stringValue)
        self.displayedUser = isGuest ? "guest:\(user)" : user
        self.agent = claims["agent_id"]?.stringValue ?? self.displayedUser
    }
}
