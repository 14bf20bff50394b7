internal import Bytes

/// What travels as a record: its fields one behind the other, in an order that never changes.
protocol WireValue {
    /// Appends the fields; those of a later version come last.
    func write(to output: inout ByteBuffer)
    /// Reads them back. What a later version has put behind them is not looked at.
    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self
}

/// An enumeration that travels as a byte.
protocol WireByte: RawRepresentable<UInt8> {}
