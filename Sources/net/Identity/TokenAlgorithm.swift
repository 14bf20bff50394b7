/// The four accepted signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1). `none` is
/// never accepted.
public enum TokenAlgorithm: String, Sendable, CaseIterable {
    case hs256 = "HS256"
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"

    /// - Parameter name: the `alg` of a token or a key. `Ed25519` is the later name of `EdDSA` with
    ///   this curve (RFC 9864), the only one of its curves that is supported.
    init?(named name: some StringProtocol) {
        self.init(rawValue: name == "Ed25519" ? "EdDSA" : String(name))
    }
}
