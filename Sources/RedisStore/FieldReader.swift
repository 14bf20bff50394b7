import Bytes

/// What is left of a stored value, off whose front its parts are taken.
struct FieldReader {
    private var bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The decimal number up to the next blank, which is taken too.
    mutating func nextNumber() -> Int64? {
        guard let end = self.bytes.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        defer { self.bytes = UnsafeRawBufferPointer(rebasing: self.bytes[(end + 1)...]) }
        return Int64(String(decoding: self.bytes[..<end], as: UTF8.self))
    }

    /// The number that a stream's id begins with.
    var leadingNumber: Int64? {
        Int64(String(decoding: self.bytes.prefix { $0 != UInt8(ascii: "-") }, as: UTF8.self))
    }

    /// Nil where fewer bytes are left.
    mutating func nextField(byteCount: Int64) -> FieldReader? {
        guard let count = Int(exactly: byteCount), count >= 0, count <= self.bytes.count else {
            return nil
        }
        defer { self.bytes = UnsafeRawBufferPointer(rebasing: self.bytes[count...]) }
        return FieldReader(UnsafeRawBufferPointer(rebasing: self.bytes[..<count]))
    }

    /// All that is left, as text.
    var text: String { String(decoding: self.bytes, as: UTF8.self) }

    /// All that is left, in two texts where it has this mark.
    func split(at mark: UInt8) -> (String, String?) {
        guard let place = self.bytes.firstIndex(of: mark) else { return (self.text, nil) }
        let rest = UnsafeRawBufferPointer(rebasing: self.bytes[(place + 1)...])
        return (
            String(decoding: self.bytes[..<place], as: UTF8.self),
            String(decoding: rest, as: UTF8.self)
        )
    }

    /// All that is left behind the sign that says that it is there.
    var optionalBytes: [UInt8]? {
        self.bytes.isEmpty ? nil : Array(self.bytes.dropFirst())
    }
}

extension ByteBuffer {
    /// Appends what `Words.number()` reads: decimal digits and a blank.
    mutating func append(number: some FixedWidthInteger) {
        self.append(decimal: number)
        self.append(UInt8(ascii: " "))
    }

    /// Appends what `Words.optionalBytes` reads: a sign and the bytes behind it, because nothing and an empty text are two things.
    mutating func append(present bytes: [UInt8]) {
        self.append(UInt8(ascii: "="))
        self.append(contentsOf: bytes)
    }

    mutating func append(present text: ByteString) {
        self.append(UInt8(ascii: "="))
        self.append(text: text.string)
    }
}
