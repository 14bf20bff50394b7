internal import Bytes

/// The session id in `sid`. A client that knows it can act for the session, so it must be
/// unpredictable.
public struct EngineSessionID: Sendable, Hashable, CustomStringConvertible {
    /// The id as it appears in a query: only unreserved characters.
    public let text: String

    /// Creates an id of 128 random bits: 22 characters of the URL-safe alphabet.
    ///
    /// - Parameter random: from a cryptographic generator.
    public init(random: (UInt64, UInt64)) {
        var bytes: [UInt8] = []
        for word in [random.0, random.1] {
            for index in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * index)))
            }
        }
        self.text = Base64URL.encode(bytes)
    }

    /// Parses an id from a request. Nil if no server can have issued it: ids have 1 to 128
    /// unreserved characters (RFC 3986 section 2.3).
    public init?(named text: String) {
        guard (1...128).contains(text.utf8.count), text.utf8.allSatisfy(Self.isUnreserved) else {
            return nil
        }
        self.text = text
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    public var description: String { self.text }
}
