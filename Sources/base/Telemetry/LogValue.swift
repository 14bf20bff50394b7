public import Bytes

/// The value of a field in a log event. Only ids and measurements, never the content of a message
/// and never a token.
public enum LogValue: Sendable, Equatable {
    case text(String)
    case integer(Int64)
    case number(Double)
    case bool(Bool)
    /// Written in seconds with three decimals.
    case duration(Duration)
    /// The field is left out.
    case absent

    /// The text; nil leaves the field out.
    public static func optional(_ text: String?) -> LogValue { text.map { .text($0) } ?? .absent }

    public init(_ text: String) { self = .text(text) }
    public init(_ text: ByteString) { self = .text(text.string) }
    public init(_ value: Bool) { self = .bool(value) }
    public init(_ duration: Duration) { self = .duration(duration) }

    /// A number beyond the range of `Int64` is clamped to it.
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

/// The fields of an event, in the order in which they are written.
public typealias LogFields = KeyValuePairs<StaticString, LogValue>
