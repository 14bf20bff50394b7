import Bytes

/// What the content of every message begins with: who sent it, which of theirs it is, and when.
///
/// Letters that JSON and URLs leave alone, at fixed places, so that it can be found and read in any dialect's frame without parsing that.
struct MessageStamp: Equatable {
    var group: UInt32
    /// The sender among the publishers of its conversation.
    var publisher: UInt32
    var number: UInt32
    /// Nanoseconds since the beginning of the run.
    var sentAt: Int64

    /// `LOAD:`, four digits of the group, four of the publisher, six of the number, nine of the time, six bits each.
    static let byteCount = 28
    /// What a message may have at all; servers take less.
    static let contentByteLimit = 1 << 20

    private static let digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The mark, and filling up to `byteCount` bytes.
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

/// Finds marks in frames.
///
/// Frames of one dialect have their mark at nearly the same place, so that is looked at before anything is searched.
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

    /// The first mark in the frame; nil when there is none.
    mutating func read(_ frame: UnsafeRawBufferPointer) -> MessageStamp? {
        guard let place = self.offset(in: frame) else { return nil }
        self.likelyOffset = place
        let digits = place + 5
        return MessageStamp(
            group: UInt32(truncatingIfNeeded: self.number(frame, at: digits, count: 4)),
            publisher: UInt32(truncatingIfNeeded: self.number(frame, at: digits + 4, count: 4)),
            number: UInt32(truncatingIfNeeded: self.number(frame, at: digits + 8, count: 6)),
            sentAt: Int64(truncatingIfNeeded: self.number(frame, at: digits + 14, count: 9)))
    }

    private func number(_ frame: UnsafeRawBufferPointer, at place: Int, count: Int) -> UInt64 {
        var number: UInt64 = 0
        for offset in place..<place + count {
            number = number << 6 | UInt64(self.values[Int(frame[offset])])
        }
        return number
    }

    private func offset(in frame: UnsafeRawBufferPointer) -> Int? {
        if Self.isStamp(frame, at: self.likelyOffset) { return self.likelyOffset }
        // Where ids have grown a digit.
        if Self.isStamp(frame, at: self.likelyOffset + 1) { return self.likelyOffset + 1 }
        guard let place = frame.firstOffset("LOAD:"), place + MessageStamp.byteCount <= frame.count
        else { return nil }
        return place
    }

    @inline(__always)
    private static func isStamp(_ frame: UnsafeRawBufferPointer, at place: Int) -> Bool {
        guard place + MessageStamp.byteCount <= frame.count else { return false }
        return UInt32(littleEndian: frame.loadUnaligned(fromByteOffset: place, as: UInt32.self))
            == 0x4441_4F4C
            && frame[place + 4] == UInt8(ascii: ":")
    }
}
