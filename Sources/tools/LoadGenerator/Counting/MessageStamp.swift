import Bytes

/// The start of every message's content: publisher, message number and send time.
///
/// It consists of characters that JSON and URLs do not escape, at fixed offsets. So it can be found
/// and read in a frame of any protocol without parsing the frame.
struct MessageStamp: Equatable {
    var group: UInt32
    /// The index of the sender among the publishers of its conversation.
    var publisher: UInt32
    var number: UInt32
    /// Nanoseconds since the start of the run.
    var sentAt: Int64

    /// `LOAD:`, then 4 digits for the group, 4 for the publisher, 6 for the number and 9 for the
    /// time, with 6 bits per digit.
    static let byteCount = 28
    /// The maximum content size; servers accept less.
    static let contentByteLimit = 1 << 20

    private static let digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// Appends the stamp, and padding up to `byteCount` bytes.
    func append(to buffer: inout ByteBuffer, filledTo byteCount: Int) {
        buffer.append("LOAD:")
        Self.append(UInt64(self.group), digits: 4, to: &buffer)
        Self.append(UInt64(self.publisher), digits: 4, to: &buffer)
        Self.append(UInt64(self.number), digits: 6, to: &buffer)
        Self.append(UInt64(self.sentAt), digits: 9, to: &buffer)
        for _ in Self.byteCount..<max(byteCount, Self.byteCount) {
            buffer.append(UInt8(ascii: "x"))
        }
    }

    private static func append(_ number: UInt64, digits count: Int, to buffer: inout ByteBuffer) {
        var shift = UInt64(6 * count)
        while shift > 0 {
            shift -= 6
            buffer.append(Self.digits[Int(number >> shift & 63)])
        }
    }
}

/// Finds stamps in frames.
///
/// Frames of one protocol have their stamp at nearly the same offset, so the reader tries the last
/// offset before it searches.
struct MessageStampReader {
    private var likelyOffset = 0

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0, count: 256)
        for (value, letter) in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .utf8.enumerated()
        {
            values[Int(letter)] = UInt8(value)
        }
        return values
    }()
    private let values = Self.values

    /// The first stamp in the frame; nil when there is none.
    mutating func read(_ frame: UnsafeRawBufferPointer) -> MessageStamp? {
        guard let offset = self.offset(in: frame) else { return nil }
        self.likelyOffset = offset
        let digits = offset + 5
        return MessageStamp(
            group: UInt32(truncatingIfNeeded: self.number(frame, at: digits, count: 4)),
            publisher: UInt32(truncatingIfNeeded: self.number(frame, at: digits + 4, count: 4)),
            number: UInt32(truncatingIfNeeded: self.number(frame, at: digits + 8, count: 6)),
            sentAt: Int64(truncatingIfNeeded: self.number(frame, at: digits + 14, count: 9)))
    }

    private func number(_ frame: UnsafeRawBufferPointer, at offset: Int, count: Int) -> UInt64 {
        var number: UInt64 = 0
        for offset in offset..<offset + count {
            number = number << 6 | UInt64(self.values[Int(frame[offset])])
        }
        return number
    }

    private func offset(in frame: UnsafeRawBufferPointer) -> Int? {
        if Self.isStamp(frame, at: self.likelyOffset) { return self.likelyOffset }
        // Message ids gain a digit from time to time.
        if Self.isStamp(frame, at: self.likelyOffset + 1) { return self.likelyOffset + 1 }
        guard let offset = frame.firstOffset("LOAD:"),
            offset + MessageStamp.byteCount <= frame.count
        else { return nil }
        return offset
    }

    @inline(__always)
    private static func isStamp(_ frame: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        guard offset + MessageStamp.byteCount <= frame.count else { return false }
        return UInt32(littleEndian: frame.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            == 0x4441_4F4C
            && frame[offset + 4] == UInt8(ascii: ":")
    }
}
