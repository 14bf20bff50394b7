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
    typealias Failure = Never

    var output = ByteBuffer()

    mutating func visit(_ name: StaticString, text: inout ByteString?) {
        self.output.append(string: text)
    }

    mutating func visit(_ name: StaticString, byte: inout UInt8) { self.output.append(byte) }
    mutating func visit(_ name: StaticString, number: inout Int) {
        self.output.append(count: number)
    }

    mutating func visit(_ name: StaticString, time: inout Timestamp?) {
        self.output.append(milliseconds: time)
    }

    mutating func visit(_ name: StaticString, requiredText: inout ByteString) {
        self.output.append(string: requiredText)
    }

    mutating func visit(_ name: StaticString, requiredTime: inout Timestamp) {
        self.output.append(milliseconds: requiredTime)
    }
}

private struct WireFieldReader: FieldVisitor {
    typealias Failure = WireDecodingError

    var input: WireReader

    mutating func visit(_ name: StaticString, text: inout ByteString?) throws(WireDecodingError) {
        text = try self.input.optionalByteString()
    }

    mutating func visit(_ name: StaticString, byte: inout UInt8) throws(WireDecodingError) {
        byte = try self.input.byte()
    }

    mutating func visit(_ name: StaticString, number: inout Int) throws(WireDecodingError) {
        number = try self.input.count()
    }

    mutating func visit(_ name: StaticString, time: inout Timestamp?) throws(WireDecodingError) {
        time = try self.input.optionalTimestamp()
    }

    mutating func visit(_ name: StaticString, requiredText: inout ByteString)
        throws(WireDecodingError)
    {
        requiredText = try self.input.byteString()
    }

    mutating func visit(_ name: StaticString, requiredTime: inout Timestamp)
        throws(WireDecodingError)
    {
        requiredTime = try self.input.timestamp()
    }

    func invalid(_ name: StaticString, _ byte: UInt8) -> WireDecodingError { .unknownKind }
}
