/// The caller's id of a request to `ChatLoop`. The answer carries it back.
///
/// The caller chooses the ids. The chat engine does not interpret them.
public struct RequestContextID: RawRepresentable, Sendable, Hashable, ExpressibleByIntegerLiteral,
    CustomStringConvertible
{
    public let rawValue: UInt64

    public var description: String { String(self.rawValue) }

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public init(integerLiteral value: UInt64) {
        self.rawValue = value
    }
}
