internal import Bytes

/// A value that is encoded as a record: a sequence of fields whose order never changes.
protocol WireValue {
    /// Appends the fields. Fields of later versions come last.
    func write(to output: inout ByteBuffer)
    /// Reads the fields, and ignores additional fields of later versions.
    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self
}

/// An enumeration that is encoded as a byte.
protocol WireByte: RawRepresentable<UInt8> {}
