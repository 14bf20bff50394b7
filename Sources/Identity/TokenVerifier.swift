public import Bytes
internal import JSON

/// What a token must say besides being signed.
public struct TokenRules: Sendable, Equatable {
    /// The `aud` that a token must name; nil takes any.
    public var audience: String?
    /// The `iss` that a token must have; nil takes any.
    public var issuer: String?
    /// How long after `exp` and before `nbf` a token is still or already taken; held to 0 to `leewaySecondLimit`.
    public let leewaySeconds: Int

    /// More than a day of leeway is no leeway.
    public static let leewaySecondLimit = 86_400

    public init(audience: String? = nil, issuer: String? = nil, leewaySeconds: Int = 0) {
        self.audience = audience
        self.issuer = issuer
        self.leewaySeconds = min(max(leewaySeconds, 0), Self.leewaySecondLimit)
    }
}

/// Decides whether a JSON Web Token (RFC 7519, as a compact JWS, RFC 7515) is good, and who its bearer is.
///
/// Immutable, so every loop verifies with the same one and without a lock; other keys are another verifier. Nothing in
/// the payload is read before the signature is good. The rules follow RFC 8725: the key chooses the algorithm, never the
/// token alone, and no key comes out of a token.
public final class TokenVerifier: Sendable {
    let keys: [VerificationKey]
    private let rules: TokenRules
    /// Of guest tokens; nil where anonymous users may not come in, so that what they were given before is of no use.
    private let guestKey: GuestKey?

    /// The longest token that is looked at.
    public static let tokenByteLimit = 8192
    /// A bad token is tried with every key that fits it, so their number bounds what it costs.
    static let keyLimit = 32
    /// Members of a header that bring a key along (RFC 7515 section 4.1), or extensions that one must understand: we have none.
    private static let rejectedHeaderMembers: [StaticString] = ["crit", "jwk", "jku", "x5c", "x5u"]

    init(keys: [VerificationKey], rules: TokenRules, guestKey guests: GuestKey? = nil) {
        self.keys = keys
        self.rules = rules
        self.guestKey = guests
    }

    /// A verifier with a single HS256 secret, as `SecretFile.read` gives it.
    public convenience init(
        secret: [UInt8], rules: TokenRules = TokenRules(), guestKey guests: GuestKey? = nil
    ) {
        self.init(keys: [VerificationKey(secret: secret)], rules: rules, guestKey: guests)
    }

    /// Who the token's bearer is at that moment.
    ///
    /// Total: any bytes get an identity or a `TokenError`, and no error says anything of the token's contents.
    public func verify(_ token: RawSpan, at now: Timestamp) throws(TokenError) -> Identity {
        try self.verify(token, at: now, acceptsExpired: false)
    }

    /// Whose token it is, though its time may be over: of who has come in with it while it was good, and shows it again.
    public func identityIgnoringExpiry(of token: String, at now: Timestamp) throws(TokenError)
        -> Identity
    {
        var token = token
        token.makeContiguousUTF8()
        return try self.verify(token.utf8Span.span.bytes, at: now, acceptsExpired: true)
    }

    private func verify(_ token: RawSpan, at now: Timestamp, acceptsExpired takesExpired: Bool)
        throws(TokenError) -> Identity
    {
        guard token.byteCount <= Self.tokenByteLimit else {
            throw .tooLong(limitBytes: Self.tokenByteLimit)
        }
        let (headerEnd, payloadEnd) = try Self.split(token)
        var document = JSONDocument(valueLimit: Self.tokenByteLimit)

        let header = try Self.decode(token.extracting(0..<headerEnd), .header)
        try Self.parse(header, .header, into: &document)
        let (algorithm, keyID) = try Self.readHeader(document, in: header.span.bytes)

        let signature = try Self.decode(
            token.extracting(payloadEnd + 1..<token.byteCount), .signature)
        let message = token.extracting(0..<payloadEnd)
        var isGuest = false
        if let guests = self.guestKey, keyID == ByteString(GuestKey.keyID) {
            guard algorithm == .hs256,
                message.withUnsafeBytes({ guests.isValid(signature, of: $0) })
            else { throw .badSignature }
            isGuest = true
        } else {
            try self.checkSignature(signature, of: message, algorithm, keyID)
        }

        let payload = try Self.decode(token.extracting(headerEnd + 1..<payloadEnd), .payload)
        try Self.parse(payload, .payload, into: &document)
        var claims = try Claims(document, in: payload.span.bytes)
        if isGuest { claims.guest = try GuestRole(document, in: payload.span.bytes) }
        return try self.check(claims, at: now, acceptsExpired: takesExpired)
    }

    /// Who the token's bearer is at that moment.
    public func verify(_ token: String, at now: Timestamp) throws(TokenError) -> Identity {
        var token = token
        token.makeContiguousUTF8()
        return try self.verify(token.utf8Span.span.bytes, at: now)
    }

    /// The places of the two dots.
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
            let algorithm = TokenAlgorithm(rawValue: name)
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

    private func check(_ claims: Claims, at now: Timestamp, acceptsExpired takesExpired: Bool)
        throws(TokenError) -> Identity
    {
        // Rules are for what others have issued; a guest token is our own, by our own clock.
        let rules = claims.guest == nil ? self.rules : TokenRules()
        let leeway = Int64(rules.leewaySeconds) * 1000
        var identity = try claims.identity()
        if let expiry = claims.expiry {
            let end = Timestamp(milliseconds: expiry.milliseconds + leeway)
            guard now < end || takesExpired else { throw .expired }
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
