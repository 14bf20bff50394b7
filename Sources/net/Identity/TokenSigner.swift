internal import Bytes
internal import JSON

/// Creates HS256 tokens for `confab token`, the load generator and tests.
public struct TokenSigner: Sendable {
    private let key: HMACKey
    private let header: String

    /// Signs with a secret as `SecretFile.read` returns it.
    public init(secret: [UInt8]) {
        self.key = HMACKey(secret)
        self.header = Base64URL.encode(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8))
    }

    /// - Parameter keyID: only letters and `-`, because it is not escaped.
    init(_ key: HMACKey, keyID: String) {
        self.key = key
        self.header = Base64URL.encode(
            Array(#"{"alg":"HS256","typ":"JWT","kid":"\#(keyID)"}"#.utf8))
    }

    /// Returns the compact token. Throws if a verifier would always reject the claims, and if the
    /// token would be too long.
    public func sign(_ claims: Claims) throws(TokenError) -> String {
        _ = try claims.identity()
        let text = self.header + "." + Base64URL.encode(claims.payload.bytes)
        let signature = self.key.sign(text.utf8)
        let token = text + "." + Base64URL.encode(signature)
        guard token.utf8.count <= TokenVerifier.defaultTokenBytes else {
            throw .tooLong(limitBytes: TokenVerifier.defaultTokenBytes)
        }
        return token
    }
}

extension HMACKey {
    fileprivate func sign(_ text: String.UTF8View) -> [UInt8] {
        Array(text).withUnsafeBytes { self.sign($0) }
    }
}

extension Claims {
    /// The claims as JSON. Claims without a value are omitted.
    fileprivate var payload: ByteBuffer {
        var members: [JSONTree.ObjectMember] = [.init("sub", .string(self.subject))]
        func add(_ name: String, _ value: JSONTree?) {
            if let value { members.append(.init(name, value)) }
        }
        add("username", self.username.map { .string($0) })
        add("tenant_id", self.tenant.map { .string($0) })
        add("agent_id", self.agent.map { .string($0) })
        switch self.grants {
        case .all: add("conversations", "*")
        case .listed([]): break
        case .listed(let conversations):
            add("conversations", .array(conversations.sorted().map { .string($0.string) }))
        }
        if self.isAdmin { add("admin", true) }
        add("guest", self.guest.map { .string($0.rawValue) })
        add("guest_key", self.guestKey.map { .string($0) })
        add("exp", self.expiry.map { Self.numericDate($0) })
        add("nbf", self.notBefore.map { Self.numericDate($0) })
        add(
            "aud",
            self.audience.map { $0.count == 1 ? .string($0[0]) : .array($0.map { .string($0) }) })
        add("iss", self.issuer.map { .string($0) })
        var buffer = ByteBuffer()
        buffer.append(json: .object(members))
        return buffer
    }

    /// Whole seconds, because other implementations rarely accept fractions.
    private static func numericDate(_ time: Timestamp) -> JSONTree {
        .integer(time.seconds)
    }
}
