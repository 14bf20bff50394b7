internal import Bytes

/// The allowed format of an id or a name in a token.
///
/// The verifier and the signer use the same rules, so every signed token is also accepted.
public enum IdentityRule: Sendable, Equatable {
    /// 1 to 128 characters of `A-Z a-z 0-9 . _ : -`.
    case conversation
    /// 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    case tenant
    /// Users, agents and display names: 1 to 128 Unicode scalars (`NameRule`).
    case name

    /// The prefix of anonymous users' ids, as other users see them. Tokens for regular users and
    /// agents must not use it.
    public static let guestPrefix = "guest:"

    public func allows(_ text: String) -> Bool {
        switch self {
        case .conversation: Self.isPlain(text, lengthLimit: 128, allowsColon: true)
        case .tenant: Self.isPlain(text, lengthLimit: 64, allowsColon: false)
        case .name: NameRule.allows(text, limit: 128)
        }
    }

    /// The rule as text that follows "must be".
    public var text: String {
        switch self {
        case .conversation: "1 to 128 characters of A-Z a-z 0-9 . _ : -"
        case .tenant: "1 to 64 characters of A-Z a-z 0-9 . _ -"
        case .name: "1 to 128 \(NameRule.text)"
        }
    }

    private static func isPlain(_ text: String, lengthLimit: Int, allowsColon: Bool)
        -> Bool
    {
        guard (1...lengthLimit).contains(text.utf8.count) else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            case UInt8(ascii: ":"): allowsColon
            default: false
            }
        }
    }
}
