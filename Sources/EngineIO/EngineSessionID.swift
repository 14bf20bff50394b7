internal import Bytes

/// What a session is called in `sid`: whoever knows it may speak for the session, so it must not be guessed.
public struct EngineSessionID: Sendable, Hashable, CustomStringConvertible {
    /// As it stands in a query: unreserved letters only.
    public let text: String

    /// An id of 128 random bits: 22 letters of the URL-safe alphabet.
    ///
    /// - Parameter random: from a generator that nobody can predict.
    public init(random: (UInt64, UInt64)) {
        var bytes: [UInt8] = []
        for word in [random.0, random.1] {
            for place in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * place)))
            }
        }
        self.text = Base64URL.encode(bytes)
    }

    /// An id that somebody names; nil when no server gave it: ids have 1 to 128 unreserved letters (RFC 3986 section 2.3).
    public init?(named text: String) {
        guard (1...128).contains(text.utf8.count), text.utf8.allSatisfy(Self.isUnreserved) else {
            return nil
        }
        self.text = text
    }

    private static func isUnreserved(_ letter: UInt8) -> Bool {
        switch letter {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    public var description: String { self.text }
}
