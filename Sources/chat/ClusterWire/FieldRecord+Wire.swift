public import Bytes
public import ChatModel

/// The layout of a value that lists its fields.
extension WireValue where Self: FieldRecord {
    func write(to output: inout ByteBuffer) { self.readFields(&output) }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        var value = Self.blank
        try value.visitFields(&input)
        return value
    }
}

extension ByteBuffer: FieldVisitor {
    public typealias Failure = Never

    /// Appends the text.
    public mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool) {
        if isOptional { self.append(string: text) } else { self.append(string: text ?? "") }
    }

    /// Appends the number.
    public mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber) {
        let value = number ?? 0
        switch kind {
        case .byte: self.append(UInt8(truncatingIfNeeded: value))
        case .count: self.append(count: Int(value))
        case .time: self.append(signed: Int(value))
        case .optionalTime: self.append(milliseconds: number.map { Timestamp(milliseconds: $0) })
        }
    }
}

extension WireReader: FieldVisitor {
    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool)
        throws(WireDecodingError)
    {
        text = isOptional ? try self.optionalByteString() : try self.byteString()
    }

    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber)
        throws(WireDecodingError)
    {
        switch kind {
        case .byte: number = Int64(try self.byte())
        case .count: number = Int64(try self.count())
        case .time: number = try self.timestamp().milliseconds
        case .optionalTime: number = try self.optionalTimestamp()?.milliseconds
        }
    }

    func invalid(_ name: StaticString) -> WireDecodingError { .unknownKind }
}
