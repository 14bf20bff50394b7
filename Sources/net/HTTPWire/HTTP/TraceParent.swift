/// The position of a request in a distributed trace, from the field `traceparent` (W3C Trace
/// Context, section 3.2).
///
/// Only a valid value gets here, so that a client cannot write arbitrary text into the log.
public struct TraceParent: Sendable, Hashable, CustomStringConvertible {
    /// `00-<trace id>-<parent id>-<flags>`: the 55 bytes that every version begins with.
    public let description: String

    /// Reads the value of a field. Nil if it is invalid: the client then has no trace, as the
    /// standard requires.
    ///
    /// - Parameter text: the field's value without surrounding blanks.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        // A later version may append fields after a dash.
        guard bytes.count == 55 || bytes.count > 56 && bytes[55] == UInt8(ascii: "-"),
            bytes[2] == UInt8(ascii: "-"), bytes[35] == UInt8(ascii: "-"),
            bytes[52] == UInt8(ascii: "-")
        else { return nil }
        let version = bytes[0..<2]
        let (trace, parent, flags) = (bytes[3..<35], bytes[36..<52], bytes[53..<55])
        for part in [version, trace, parent, flags] {
            guard part.allSatisfy(\.isLowerHexDigit) else { return nil }
        }
        guard !version.elementsEqual("ff".utf8), !trace.allSatisfy({ $0 == UInt8(ascii: "0") }),
            !parent.allSatisfy({ $0 == UInt8(ascii: "0") }),
            bytes.count == 55 || !version.elementsEqual("00".utf8)
        else { return nil }
        self.description = String(decoding: bytes[..<55], as: UTF8.self)
    }

    /// Reads the field of a request. Nil if there is none, if it is invalid, or if there are
    /// several.
    public init?(_ fields: HTTPFields, in bytes: RawSpan) {
        // Most requests have no such field, so nothing is copied for them.
        guard fields.first("traceparent", in: bytes) != nil else { return nil }
        let values = fields.texts("traceparent", in: bytes)
        guard values.count == 1 else { return nil }
        self.init(values[0])
    }
}

extension UInt8 {
    fileprivate var isLowerHexDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        default: false
        }
    }
}
