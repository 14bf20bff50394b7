public import Bytes

/// The files that contain the keys. They are read at startup, on SIGHUP and when the key set
/// changes.
///
/// If one file is invalid, `load` throws, and the caller keeps its current verifier.
public struct KeyFiles: Sendable, Equatable {
    /// The HS256 secret.
    public var secret: SecretFile?
    /// PEM files with any number of public keys each.
    public var publicKeys: [String]
    /// A JSON Web Key set (RFC 7517).
    public var keySet: String?

    public init(secret: SecretFile? = nil, publicKeys: [String] = [], keySet: String? = nil) {
        self.secret = secret
        self.publicKeys = publicKeys
        self.keySet = keySet
    }

    /// Reads all files. Throws for the first invalid file, if there is no key at all, and if there
    /// are too many keys.
    ///
    /// - Parameter guestKey: the key for guest tokens, which is in no file. Nil if there are no
    ///   guests.
    public func load(_ rules: TokenRules = TokenRules(), guestKey: GuestKey? = nil)
        throws(KeyError) -> TokenVerifier
    {
        var keys: [VerificationKey] = []
        if let secret = self.secret { keys.append(VerificationKey(secret: try secret.read())) }
        for path in self.publicKeys { keys += try Self.readPEM(path) }
        if let path = self.keySet { keys += try KeySetFile(path: path).read().keys }
        guard !keys.isEmpty else { throw .noKeys }
        guard keys.count <= TokenVerifier.keyLimit else {
            throw .tooManyKeys(limit: TokenVerifier.keyLimit)
        }
        return TokenVerifier(keys: keys, rules: rules, guestKey: guestKey)
    }

    /// The keys of the key set that are not used although the others are, each as a sentence.
    public var skippedKeys: [String] {
        guard let path = self.keySet else { return [] }
        return ((try? KeySetFile(path: path).read())?.skipped ?? []).map(\.description)
    }

    /// Changes when the file of the key set changes. It costs one `stat`, so a timer can compare
    /// it. Nil if there is no key set or no such file.
    public var keySetFingerprint: FileFingerprint? {
        self.keySet.flatMap { FileFingerprint(path: $0) }
    }

    /// The earliest expiry of a certificate among the public keys; nil if there is none. Keys are
    /// accepted even after it, but an issuer that renews its certificate may change its key.
    public var certificateExpiry: Timestamp? {
        self.publicKeys.compactMap { path in
            (try? KeyError.read(path)).flatMap { PublicKey.certificateExpiry(pem: $0) }
        }.min()
    }

    private static func readPEM(_ path: String) throws(KeyError) -> [VerificationKey] {
        let text = try KeyError.read(path)
        do throws(PublicKey.PublicKeyError) {
            return try PublicKey.all(pem: text).map { VerificationKey(publicKey: $0) }
        } catch {
            throw .unusable(path: path, reason: error.reason)
        }
    }
}
