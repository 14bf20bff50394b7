public import Bytes
internal import JSON

/// The claims that a token must have in addition to a valid signature.
public struct TokenRules: Sendable, Equatable {
    /// The `aud` that a token must contain. Nil accepts any.
    public var audience: String?
    /// The `iss` that a token must have. Nil accepts any.
    public var issuer: String?
    /// The tolerance for clock differences: a token is accepted so long before `nbf` and after
    /// `exp`. Limited to 0 to `leewaySecondLimit`.
    public let leewaySeconds: Int
    /// The longest token.
    public let tokenBytes: Int

    /// One day. More than that is no longer a tolerance for clock differences.
    public static let leewaySecondLimit = 86_400

    public init(
        audience: String? = nil, issuer: String? = nil, leewaySeconds: Int = 0,
        tokenBytes: Int = TokenVerifier.defaultTokenBytes
    ) {
        self.audience = audience
        self.issuer = issuer
        self.leewaySeconds = min(max(leewaySeconds, 0), Self.leewaySecondLimit)
        self.tokenBytes = tokenBytes
    }
}

/// Verifies JSON Web Tokens (RFC 7519, as compact JWS of RFC 7515) and returns the identity of the
/// bearer.
///
/// The verifier is immutable, so all loops share one without a lock. New keys require a new
/// verifier. The payload is parsed only after the signature was verified.
///
/// The rules follow RFC 8725: the token's `alg` must match the algorithm of a configured key, and
/// keys inside tokens are never used.
public final class TokenVerifier: Sendable {
    let keys: [VerificationKey]
    private let rules: TokenRules
    /// The key for guest tokens. Nil if anonymous users are not allowed. Guest tokens issued
    /// earlier are then invalid.
    private let guestKey: GuestKey?

    /// The maximum length of a token, unless the rules set another one.
    public static let defaultTokenBytes = 8192
    /// A bad token is tried with every matching key, so the number of keys bounds its cost.
    static let keyLimit = 32
    /// Header members that contain a key (RFC 7515 section 4.1) or demand extensions. Confab
    /// supports no extensions.
    private static let rejectedHeaderMembers: [StaticString] = ["crit", "jwk", "jku", "x5c", "x5u"]

    init(keys: [VerificationKey], rules: TokenRules, guestKey: GuestKey? = nil) {
        self.keys = keys
        self.rules = rules
        self.guestKey = guestKey
    }

    /// Creates a verifier with one HS256 secret, as `SecretFile.read` returns it.
    public convenience init(
        secret: [UInt8], rules: TokenRules = TokenRules(), guestKey: GuestKey? = nil
    ) {
        self.init(keys: [VerificationKey(secret: secret)], rules: rules, guestKey: guestKey)
    }

    /// Verifies a token at the given time and returns the identity of its bearer.
    ///
    /// Any input results in an identity or a `TokenError`, and no error reveals the contents of the
    /// token.
    public func verify(_ token: RawSpan, at now: Timestamp) throws(TokenError) -> Identity {
        try self.verify(token, at: now, acceptsExpired: false)
    }

    /// Verifies a token but accepts an expired one. For a client that connected while the token was
    /// valid and presents it again.
    public func identityIgnoringExpiry(of token: String, at now: Timestamp) throws(TokenError)
        -> Identity
    {
        var token = token
        token.makeContiguousUTF8()
        return try self.verify(token.utf8Span.span.bytes, at: now, acceptsExpired: true)
    }

    private func verify(_ token: RawSpan, at now: Timestamp, acceptsExpired: Bool)
        throws(TokenError) -> Identity
    {
        guard token.byteCount <= self.rules.tokenBytes else {
            throw .tooLong(limitBytes: self.rules.tokenBytes)
        }
        try Self.checkEnds(token)
        let (headerEnd, payloadEnd) = try Self.split(token)
        var document = JSONDocument(valueLimit: self.rules.tokenBytes)

        let header = try Self.decode(token.extracting(0..<headerEnd), .header)
        try Self.parse(header, .header, into: &document)
        let (algorithm, keyID) = try Self.readHeader(document, in: header.span.bytes)
        let isCompressed = document.member("zip", of: document.root, in: header.span.bytes) != nil

        let signature = try Self.decode(
            token.extracting(payloadEnd + 1..<token.byteCount), .signature)
        let message = token.extracting(0..<payloadEnd)
        var isGuest = false
        if let guestKey = self.guestKey, keyID == ByteString(GuestKey.keyID) {
            guard algorithm == .hs256,
                message.withUnsafeBytes({ guestKey.isValid(signature, of: $0) })
            else { throw .badSignature }
            isGuest = true
        } else {
            try self.checkSignature(signature, of: message, algorithm, keyID)
        }

        let payload = try Self.decode(token.extracting(headerEnd + 1..<payloadEnd), .payload)
        do throws(TokenError) {
            try Self.parse(payload, .payload, into: &document)
        } catch {
            throw isCompressed ? .compressed : error
        }
        var claims = try Claims(document, in: payload.span.bytes)
        if isGuest { try claims.readGuest(document, in: payload.span.bytes) }
        return try self.check(claims, at: now, acceptsExpired: acceptsExpired)
    }

    /// Verifies a token at the given time and returns the identity of its bearer.
    public func verify(_ token: String, at now: Timestamp) throws(TokenError) -> Identity {
        var token = token
        token.makeContiguousUTF8()
        return try self.verify(token.utf8Span.span.bytes, at: now)
    }

    /// A token from a file often ends with the file's line break, which only its sender can see.
    private static func checkEnds(_ token: RawSpan) throws(TokenError) {
        guard token.byteCount > 0 else { return }
        for offset in [0, token.byteCount - 1]
        where [0x09, 0x0A, 0x0D, 0x20].contains(
            token.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self))
        {
            throw .surroundedByBlanks
        }
    }

    /// Returns the positions of the two dots.
    private static func split(_ token: RawSpan) throws(TokenError) -> (Int, Int) {
        var first: Int?
        var second: Int?
        for offset in token.byteOffsets
        where token.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self) == UInt8(ascii: ".")
        {
            if first == nil {
                first = offset
            } else if second == nil {
                second = offset
            } else {
                throw .malformed(.parts)
            }
        }
        guard let first, let second else { throw .malformed(.parts) }
        return (first, second)
    }

    private static func decode(_ text: RawSpan, _ part: TokenPart) throws(TokenError) -> [UInt8] {
        guard let bytes = text.withUnsafeBytes({ Base64URL.decode($0) }) else {
            throw .malformed(part)
        }
        return bytes
    }

    private static func parse(
        _ bytes: [UInt8], _ part: TokenPart, into document: inout JSONDocument
    ) throws(TokenError) {
        do {
            try document.parse(bytes.span.bytes)
        } catch {
            throw .malformed(part)
        }
    }

    private static func readHeader(_ document: JSONDocument, in bytes: RawSpan) throws(TokenError)
        -> (TokenAlgorithm, ByteString?)
    {
        let root = document.root
        guard document.kind(of: root) == .object else { throw .malformed(.header) }
        guard
            let name = document.member("alg", of: root, in: bytes).flatMap({
                document.string($0, in: bytes)
            }),
            let algorithm = TokenAlgorithm(named: name)
        else { throw .algorithmNotAccepted }
        for name in Self.rejectedHeaderMembers
        where document.member(name, of: root, in: bytes) != nil {
            throw .headerNotAccepted(name: "\(name)")
        }
        guard let value = document.member("kid", of: root, in: bytes) else {
            return (algorithm, nil)
        }
        guard let keyID = document.string(value, in: bytes) else {
            throw .headerNotAccepted(name: "kid")
        }
        return (algorithm, ByteString(keyID))
    }

    private func checkSignature(
        _ signature: [UInt8], of message: RawSpan, _ algorithm: TokenAlgorithm, _ keyID: ByteString?
    ) throws(TokenError) {
        var isAnyTried = false
        for key in self.keys
        where key.algorithm == algorithm && (keyID == nil || key.id == nil || key.id == keyID) {
            isAnyTried = true
            if message.withUnsafeBytes({ key.isValid(signature, of: $0) }) { return }
        }
        throw isAnyTried ? .badSignature : .noKey
    }

    private func check(_ claims: Claims, at now: Timestamp, acceptsExpired: Bool)
        throws(TokenError) -> Identity
    {
        // The rules apply to tokens of other issuers. Guest tokens are issued by this cluster with
        // its own clock.
        let rules = claims.guest == nil ? self.rules : TokenRules()
        let leeway = Int64(rules.leewaySeconds) * 1000
        var identity = try claims.identity()
        if let expiry = claims.expiry {
            let end = Timestamp(milliseconds: expiry.milliseconds + leeway)
            guard now < end || acceptsExpired else { throw .expired }
            identity.expiry = end
        }
        if let notBefore = claims.notBefore, now.milliseconds + leeway < notBefore.milliseconds {
            throw .notYetValid
        }
        if let audience = rules.audience {
            guard let named = claims.audience,
                named.contains(where: { ByteString($0) == ByteString(audience) })
            else {
                throw .wrongAudience
            }
        }
        if let issuer = rules.issuer {
            guard let named = claims.issuer, ByteString(named) == ByteString(issuer) else {
                throw .wrongIssuer
            }
        }
        return identity
    }
}
