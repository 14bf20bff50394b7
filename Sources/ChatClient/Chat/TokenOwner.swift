internal import Bytes
internal import JSON

/// Who a token says its bearer is, read without a key: to know one's own messages, not to trust anybody.
struct TokenOwner: Equatable {
    let user: String
    /// What others call the user.
    let name: String
    /// Whom the user acts as in the Agents protocol.
    let agent: String

    /// Nil when the text is no JSON Web Token with a subject.
    init?(token: String) {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64URL.decode(Array(parts[1])), let claims = try? JSONTree(parsing: payload.span.bytes),
            let user = claims["sub"]?.stringValue
        else { return nil }
        self.user = user
        self.name = (claims["username"] ?? claims["name"])?.stringValue ?? user
        self.agent = claims["agent_id"]?.stringValue ?? user
    }
}
