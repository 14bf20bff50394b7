internal import Bytes

/// Which files the keys come from; read at the start, on SIGHUP, and when the key set changes.
///
/// All or nothing: when one file is bad, `load` throws and whoever reloads keeps the verifier it has.
public struct KeyFiles: Sendable, Equatable {
    /// The HS256 secret.
    public var secret: SecretFile?
    /// PEM files with public keys, any number in each.
    public var publicKeys: [String]
    /// A JSON Web Key set (RFC 7517).
    public var keySet: String?

    public init(secret: SecretFile? = nil, publicKeys: [String] = [], keySet: String? = nil) {
        self.secret = secret
        self.publicKeys = publicKeys
        self.keySet = keySet
    }

    /// Reads every file. Throws for the first that cannot be used, when there is no key at all, and when there are too many.
    ///
    /// - Parameter guests: the key of guest tokens, which no file holds; nil where there are no guests.
    public func load(_ rules: TokenRules = TokenRules(), guestKey guests: GuestKey? = nil)
        throws(KeyError) -> TokenVerifier
    {
        var keys: [VerificationKey] = []
        if let secret = self.secret { keys.append(VerificationKey(secret: try secret.read())) }
        for path in self.publicKeys { keys += try Self.readPEM(path) }
        if let path = self.keySet { keys += try KeySetFile(path: path).read() }
        guard !keys.isEmpty else { throw .noKeys }
        guard keys.count <= TokenVerifier.keyLimit else {
            throw .tooManyKeys(limit: TokenVerifier.keyLimit)
        }
        return TokenVerifier(keys: keys, rules: rules, guestKey: guests)
    }

    /// Changes when the key set's file does: one `stat`, for a timer to look at. Nil without a key set, or without its file.
    public var keySetFingerprint: FileFingerprint? {
        self.keySet.flatMap { FileFingerprint(path: $0) }
    }

    private static func readPEM(_ path: String) throws(KeyError) -> [VerificationKey] {
        let text = try SmallFile.read(path)
        do throws(PublicKey.PublicKeyError) {
            return try PublicKey.all(pem: text).map { VerificationKey(publicKey: $0) }
        } catch {
            throw .unusable(path: path, reason: error.reason)
        }
    }
}
