public import Bytes

/// What a field of a log event says. Ids and measures; never a message's content and never a token.
public enum LogValue: Sendable, Equatable {
    case text(String)
    case integer(Int64)
    case number(Double)
    case bool(Bool)
    /// Written in seconds with milliseconds.
    case duration(Duration)

    public init(_ text: String) { self = .text(text) }
    public init(_ text: ByteString) { self = .text(text.string) }
    public init(_ truth: Bool) { self = .bool(truth) }
    public init(_ duration: Duration) { self = .duration(duration) }

    /// Numbers beyond 64 bits with a sign are written as the nearest that fits.
    public init(_ number: some BinaryInteger) { self = .integer(Int64(clamping: number)) }
}

extension LogValue: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral
{
    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// The fields of one event, in the order in which they are written.
public typealias LogFields = KeyValuePairs<StaticString, LogValue>
