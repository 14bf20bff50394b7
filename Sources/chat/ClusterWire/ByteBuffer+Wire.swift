internal import Bytes

/// Writes the elements of the layout that `NodePacket` describes.
extension ByteBuffer {
    mutating func append(incarnation: UInt64) {
        withUnsafeBytes(of: incarnation.littleEndian) { self.append(contentsOf: $0) }
    }

    mutating func append(number: UInt64) {
        var remaining = number
        while remaining >= 0x80 {
            self.append(UInt8(truncatingIfNeeded: remaining) | 0x80)
            remaining >>= 7
        }
        self.append(UInt8(truncatingIfNeeded: remaining))
    }

    /// A count or position: sequences, revisions, numbers of members.
    mutating func append(count: Int) {
        self.append(number: UInt64(bitPattern: Int64(count)))
    }

    /// A number that may be negative, such as one from a client.
    mutating func append(signed number: Int) {
        self.append(number: UInt64(bitPattern: Int64(number << 1 ^ number >> (Int.bitWidth - 1))))
    }

    mutating func append(milliseconds moment: Timestamp) {
        self.append(signed: Int(moment.milliseconds))
    }

    mutating func append(milliseconds moment: Timestamp?) {
        self.append(flag: moment != nil)
        if let moment { self.append(milliseconds: moment) }
    }

    mutating func append(flag: Bool) {
        self.append(flag ? 1 : 0)
    }

    mutating func append(byte value: some WireByte) {
        self.append(value.rawValue)
    }

    /// A slot in a table. `.max` means unknown and has the shortest encoding.
    mutating func append(slot: UInt32) {
        self.append(number: UInt64(slot &+ 1))
    }

    mutating func append(string: String) {
        self.append(count: string.utf8.count)
        self.append(text: string)
    }

    mutating func append(string: ByteString) {
        self.append(string: string.string)
    }

    /// An optional text: 0, or one more than its byte count.
    mutating func append(string: ByteString?) {
        guard let string else { return self.append(0) }
        self.append(count: string.byteCount + 1)
        self.append(text: string.string)
    }

    /// Optional bytes.
    mutating func append(bytes: [UInt8]?) {
        guard let bytes else { return self.append(0) }
        self.append(count: bytes.count + 1)
        self.append(contentsOf: bytes)
    }

    mutating func append(record value: borrowing some WireValue) {
        let start = self.openRecord()
        value.write(to: &self)
        self.closeRecord(from: start)
    }

    mutating func append(record value: (some WireValue)?) {
        if let value { self.append(record: value) } else { self.append(0) }
    }

    mutating func append(list: [some WireValue]) {
        self.append(count: list.count)
        for value in list { self.append(record: value) }
    }

    mutating func append(list: [Int]) {
        self.append(count: list.count)
        for number in list { self.append(signed: number) }
    }

    /// Reserves one byte for the length of a record.
    ///
    /// - Returns: the position at which the record's fields begin.
    mutating func openRecord() -> Int {
        self.append(0)
        return self.count
    }

    mutating func closeRecord(from start: Int) {
        let length = self.count - start
        guard length >= 0x80 else {
            self.bytes[start - 1] = UInt8(truncatingIfNeeded: length)
            return
        }
        // The length needs more than one byte, so the fields move back to make room.
        let more = (Int.bitWidth - length.leadingZeroBitCount + 6) / 7 - 1
        for _ in 0..<more { self.append(0) }
        self.bytes.withUnsafeMutableBytes { bytes in
            let record = bytes.baseAddress! + start
            (record + more).copyMemory(from: record, byteCount: length)
            var remaining = length
            for index in 0...more {
                bytes[start - 1 + index] =
                    UInt8(truncatingIfNeeded: remaining & 0x7F) | (index < more ? 0x80 : 0)
                remaining >>= 7
            }
        }
    }
}
