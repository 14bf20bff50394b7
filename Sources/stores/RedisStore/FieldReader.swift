import Bytes
import ChatModel

/// Reads a stored value field by field from the front.
struct FieldReader {
    private var bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Reads a decimal number and the blank, or another mark, behind it.
    mutating func nextNumber(before mark: UInt8 = UInt8(ascii: " ")) -> Int64? {
        let isNegative = self.bytes.first == UInt8(ascii: "-")
        let start = isNegative ? 1 : 0
        var (end, number) = (start, Int64(0))
        while true {
            guard end < self.bytes.count else { return nil }
            let byte = self.bytes[end]
            if byte == mark { break }
            guard (0x30...0x39).contains(byte) else { return nil }
            let (tenfold, hasOverflown) = number.multipliedReportingOverflow(by: 10)
            // Counts downwards, because the smallest number has no positive counterpart.
            let (sum, isBeyond) = tenfold.subtractingReportingOverflow(Int64(byte - 0x30))
            guard !hasOverflown, !isBeyond else { return nil }
            number = sum
            end += 1
        }
        guard end > start, isNegative || number != .min else { return nil }
        self.bytes = UnsafeRawBufferPointer(rebasing: self.bytes[(end + 1)...])
        return isNegative ? number : -number
    }

    /// Reads a number that is not negative, and the blank behind it.
    mutating func nextCount() -> Int? {
        self.nextNumber().flatMap { $0 < 0 ? nil : Int($0) }
    }

    /// Reads a text without blanks, and the blank behind it.
    mutating func nextWord() -> String? {
        guard let end = self.bytes.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        defer { self.bytes = UnsafeRawBufferPointer(rebasing: self.bytes[(end + 1)...]) }
        return String(decoding: self.bytes[..<end], as: UTF8.self)
    }

    /// The number at the start of a stream id.
    var leadingNumber: Int64? {
        var id = self
        return id.nextNumber(before: UInt8(ascii: "-"))
    }

    /// Nil if fewer bytes are left.
    mutating func nextField(byteCount: Int64) -> FieldReader? {
        guard let count = Int(exactly: byteCount), count >= 0, count <= self.bytes.count else {
            return nil
        }
        defer { self.bytes = UnsafeRawBufferPointer(rebasing: self.bytes[count...]) }
        return FieldReader(UnsafeRawBufferPointer(rebasing: self.bytes[..<count]))
    }

    var isEmpty: Bool { self.bytes.isEmpty }

    /// The bytes that are not read yet.
    var remaining: UnsafeRawBufferPointer { self.bytes }

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

    /// Appends 16 hexadecimal digits, so that the order of texts is that of the numbers.
    mutating func append(hexadecimal number: SequenceNumber) {
        let digits = String(number, radix: 16)
        for _ in digits.utf8.count..<16 { self.append(UInt8(ascii: "0")) }
        self.append(text: digits)
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
