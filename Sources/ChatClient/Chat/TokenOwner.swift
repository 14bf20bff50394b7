internal import Bytes
internal import JSON

/// Who a token says its bearer is, read without a key: to know one's own messages, not to trust anybody.
struct TokenOwner: Equatable {
    let user: String

    /// Nil when the text is no JSON Web Token with a subject.
    init?(token: String) {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64URL.decode(Array(parts[1])), let claims = try? JSONTree(parsing: payload.span.bytes),
            let user = claims["sub"]?.stringValue
        else { return nil }
        self.user = user
    }
}
