/// Identifies the command that a reply or failure belongs to; chosen by the client's user.
public struct CommandTag: RawRepresentable, Sendable, Hashable, ExpressibleByIntegerLiteral {
    public private(set) var rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public init(integerLiteral value: UInt64) {
        self.rawValue = value
    }

    /// Moves to the next tag, for users that number their commands.
    public mutating func advance() {
        self.rawValue += 1
    }
}
