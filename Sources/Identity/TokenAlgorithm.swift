/// The four accepted signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1). `none` is
/// never accepted.
public enum TokenAlgorithm: String, Sendable, CaseIterable {
    case hs256 = "HS256"
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"
}
