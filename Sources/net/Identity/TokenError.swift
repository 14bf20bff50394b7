/// The reason why a token is rejected.
///
/// Clients and logs receive the message. It names the problem and never contains the token or a
/// part of it.
public enum TokenError: Error, Sendable, Equatable, CustomStringConvertible {
    case tooLong(limitBytes: Int)
    /// The token does not consist of three parts in canonical base64url, the first two with JSON
    /// objects.
    case malformed(TokenPart)
    /// The token begins or ends with a blank or a line break.
    case surroundedByBlanks
    /// The header has `zip`, and the payload is no JSON.
    case compressed
    case algorithmNotAccepted
    /// The header has a member that is never accepted: a key, or `crit`.
    case headerNotAccepted(name: String)
    /// No configured key has the token's algorithm and key id.
    case noKey
    case badSignature
    case expired
    case notYetValid
    case wrongAudience
    case wrongIssuer
    case badClaim(name: String, mustBe: String)

    public var description: String {
        switch self {
        case .tooLong(let limit): "The token is longer than \(limit) bytes."
        case .malformed(let part): "The token is not a JSON Web Token: \(part.sentenceEnd)."
        case .surroundedByBlanks:
            "The token begins or ends with a line break or a blank; remove it."
        case .compressed:
            "The token's payload is compressed (\"zip\"), which is not accepted; "
                + "issue tokens without compression."
        case .algorithmNotAccepted:
            "The token's algorithm is not accepted; HS256, RS256, ES256 and EdDSA (Ed25519) are."
        case .headerNotAccepted(let name): "The token's header member \"\(name)\" is not accepted."
        case .noKey: "No configured key fits the token's \"alg\" and \"kid\"."
        case .badSignature: "The token's signature is wrong."
        case .expired: "The token has expired."
        case .notYetValid: "The token is not valid yet."
        case .wrongAudience: "The token's claim \"aud\" does not name this service."
        case .wrongIssuer: "The token's claim \"iss\" does not name the issuer expected here."
        case .badClaim(let name, let rule): "The token's claim \"\(name)\" must be \(rule)."
        }
    }
}

/// The part of a compact token that a `TokenError` is about.
public enum TokenPart: Sendable, Equatable {
    case parts, header, payload, signature

    var sentenceEnd: String {
        switch self {
        case .parts: "it must have three parts, joined by dots"
        case .header: "its header must be a JSON object in base64url without padding"
        case .payload: "its payload must be a JSON object in base64url without padding"
        case .signature: "its signature must be base64url without padding"
        }
    }
}
