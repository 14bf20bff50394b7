import Bytes

/// Reads a stored value field by field from the front.
struct FieldReader {
    private var bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Reads a decimal number and the blank behind it.
    mutating func nextNumber() -> Int64? {
        guard let end = self.bytes.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        defer { self.bytes = UnsafeRawBufferPointer(rebasing: self.bytes[(end + 1)...]) }
        return Int64(String(decoding: self.bytes[..<end], as: UTF8.self))
    }

    /// The number at the start of a stream id.
    var leadingNumber: Int64? {
        Int64(String(decoding: self.bytes.prefix { $0 != UInt8(ascii: "-") }, as: UTF8.self))
    }

    /// Nil if fewer bytes are left.
    mutating func nextField(byteCount: Int64) -> FieldReader? {
        guard let count = Int(exactly: byteCount), count >= 0, count <= self.bytes.count else {
            return nil
        }
        defer { self.bytes = UnsafeRawBufferPointer(rebasing: self.bytes[count...]) }
        return FieldReader(UnsafeRawBufferPointer(rebasing: self.bytes[..<count]))
    }

    /// The remaining bytes as text.
    var text: String { String(decoding: self.bytes, as: UTF8.self) }

    /// The remaining text, split at the first `mark` if there is one.
    func split(at mark: UInt8) -> (String, String?) {
        guard let index = self.bytes.firstIndex(of: mark) else { return (self.text, nil) }
        let rest = UnsafeRawBufferPointer(rebasing: self.bytes[(index + 1)...])
        return (
            String(decoding: self.bytes[..<index], as: UTF8.self),
            String(decoding: rest, as: UTF8.self)
        )
    }

    /// The remaining bytes behind the presence mark; nil without a mark.
    var optionalBytes: [UInt8]? {
        self.bytes.isEmpty ? nil : Array(self.bytes.dropFirst())
    }
}

extension ByteBuffer {
    /// Appends what `FieldReader.nextNumber()` reads: decimal digits and a blank.
    mutating func append(number: some FixedWidthInteger) {
        self.append(decimal: number)
        self.append(UInt8(ascii: " "))
    }

    /// Appends what `FieldReader.optionalBytes` reads: a mark and the bytes. The mark distinguishes
    /// an empty text from none.
    mutating func append(present bytes: [UInt8]) {
        self.append(UInt8(ascii: "="))
        self.append(contentsOf: bytes)
    }

    mutating func append(present text: ByteString) {
        self.append(UInt8(ascii: "="))
        self.append(text: text.string)
    }
}
