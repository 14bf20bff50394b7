internal import Bytes
internal import ChatModel

/// The layout of a value that lists its fields.
extension WireValue where Self: FieldRecord {
    func write(to output: inout ByteBuffer) {
        var writer = WireFieldWriter()
        swap(&writer.output, &output)
        self.readFields(&writer)
        swap(&writer.output, &output)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        var reader = WireFieldReader(input: input)
        var value = Self.blank
        try value.visitFields(&reader)
        input = reader.input
        return value
    }
}

private struct WireFieldWriter: FieldVisitor {
    var output = ByteBuffer()

    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool) {
        if isOptional {
            self.output.append(string: text)
        } else {
            self.output.append(string: text ?? "")
        }
    }

    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber) {
        let value = number ?? 0
        switch kind {
        case .byte: self.output.append(UInt8(truncatingIfNeeded: value))
        case .count: self.output.append(count: Int(value))
        case .time: self.output.append(signed: Int(value))
        case .optionalTime:
            self.output.append(milliseconds: number.map { Timestamp(milliseconds: $0) })
        }
    }
}

private struct WireFieldReader: FieldVisitor {
    var input: WireReader

    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool)
        throws(WireDecodingError)
    {
        text = isOptional ? try self.input.optionalByteString() : try self.input.byteString()
    }

    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber)
        throws(WireDecodingError)
    {
        switch kind {
        case .byte: number = Int64(try self.input.byte())
        case .count: number = Int64(try self.input.count())
        case .time: number = try self.input.timestamp().milliseconds
        case .optionalTime: number = try self.input.optionalTimestamp()?.milliseconds
        }
    }

    func invalid(_ name: StaticString) -> WireDecodingError { .unknownKind }
}
