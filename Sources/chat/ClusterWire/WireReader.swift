internal import Bytes
internal import ChatModel
internal import Glibc

/// Reads what `ByteBuffer+Wire` writes. It borrows the bytes and must not outlive them.
///
/// It trusts no input: every field is checked against the end of its record, and no memory is
/// reserved for data that is not there.
struct WireReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position: Int
    /// The end of the current record.
    private var end: Int
    /// The number of skipped items of unknown kinds.
    private(set) var unknownItemCount = 0
    private(set) var keyInterning: KeyInterning
    // Consecutive items of a packet often have the same person, whose texts are then created once.
    private var lastPerson: (range: Range<Int>, value: Person)?

    /// The maximum of sequence numbers, revisions and counts, far below an overflow in
    /// calculations.
    static let countLimit = 1 << 53
    /// From year 0 to year 9999.
    static let timestampRange: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999
    /// The maximum number of list elements for which memory is reserved in advance.
    static let reserveLimit = 64

    init(
        _ bytes: UnsafeRawBufferPointer, from position: Int,
        interning keyInterning: KeyInterning = KeyInterning()
    ) {
        self.bytes = bytes
        self.keyInterning = keyInterning
        self.position = position
        self.end = bytes.count
    }

    /// Whether the record has no more fields.
    var isAtEnd: Bool { self.position == self.end }

    private var remaining: Int { self.end - self.position }

    // MARK: Numbers

    mutating func byte() throws(WireDecodingError) -> UInt8 {
        guard self.position < self.end else { throw .malformed(.cutShort) }
        defer { self.position += 1 }
        return self.bytes[self.position]
    }

    mutating func number() throws(WireDecodingError) -> UInt64 {
        let first = try self.byte()
        if first < 0x80 { return UInt64(first) }
        var number = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while true {
            let byte = try self.byte()
            // The tenth byte has only the highest bit.
            guard shift < 63 || shift == 63 && byte <= 1 else { throw .malformed(.number) }
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
            shift += 7
        }
    }

    mutating func count() throws(WireDecodingError) -> Int {
        let number = try self.number()
        guard number <= UInt64(Self.countLimit) else { throw .malformed(.number) }
        return Int(number)
    }

    mutating func signed() throws(WireDecodingError) -> Int {
        let number = try self.number()
        return Int(Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1))
    }

    mutating func slot() throws(WireDecodingError) -> UInt32 {
        let number = try self.number()
        guard number <= UInt64(UInt32.max) else { throw .malformed(.number) }
        return UInt32(number) &- 1
    }

    mutating func loop() throws(WireDecodingError) -> UInt16 {
        let number = try self.number()
        guard number <= UInt64(UInt16.max) else { throw .malformed(.number) }
        return UInt16(number)
    }

    mutating func timestamp() throws(WireDecodingError) -> Timestamp {
        let milliseconds = Int64(try self.signed())
        guard Self.timestampRange.contains(milliseconds) else { throw .malformed(.timestamp) }
        return Timestamp(milliseconds: milliseconds)
    }

    mutating func optionalTimestamp() throws(WireDecodingError) -> Timestamp? {
        try self.flag() ? try self.timestamp() : nil
    }

    mutating func flag() throws(WireDecodingError) -> Bool {
        switch try self.byte() {
        case 0: return false
        case 1: return true
        default: throw .unknownKind
        }
    }

    mutating func byte<Value: WireByte>(_: Value.Type = Value.self) throws(WireDecodingError)
        -> Value
    {
        guard let value = Value(rawValue: try self.byte()) else { throw .unknownKind }
        return value
    }

    // MARK: Texts

    mutating func string() throws(WireDecodingError) -> String {
        try self.string(of: try self.number())
    }

    mutating func byteString() throws(WireDecodingError) -> ByteString {
        ByteString(try self.string())
    }

    mutating func optionalByteString() throws(WireDecodingError) -> ByteString? {
        let number = try self.number()
        return number == 0 ? nil : ByteString(try self.string(of: number - 1))
    }

    mutating func optionalBytes() throws(WireDecodingError) -> [UInt8]? {
        let number = try self.number()
        return number == 0 ? nil : [UInt8](try self.readBytes(number - 1))
    }

    private mutating func string(of length: UInt64) throws(WireDecodingError) -> String {
        let bytes = try self.readBytes(length).bindMemory(to: UInt8.self)
        do {
            return String(copying: try UTF8Span(validating: bytes.span))
        } catch {
            throw .malformed(.text)
        }
    }

    private mutating func readBytes(_ length: UInt64) throws(WireDecodingError)
        -> UnsafeRawBufferPointer
    {
        guard length <= UInt64(self.remaining) else { throw .malformed(.cutShort) }
        defer { self.position += Int(length) }
        return UnsafeRawBufferPointer(
            rebasing: self.bytes[self.position..<self.position + Int(length)])
    }

    // MARK: Records and lists

    /// Restricts reading to the next record's fields, until `leaveRecord`.
    ///
    /// - Returns: the end of the outer record.
    mutating func enterRecord() throws(WireDecodingError) -> Int {
        let length = try self.number()
        guard length <= UInt64(self.remaining) else { throw .malformed(.cutShort) }
        defer { self.end = self.position + Int(length) }
        return self.end
    }

    /// Skips the remaining fields of the record.
    mutating func leaveRecord(to outer: Int) {
        self.position = self.end
        self.end = outer
    }

    mutating func record<Value: WireValue>(_: Value.Type = Value.self) throws(WireDecodingError)
        -> Value
    {
        let outer = try self.enterRecord()
        let value = try Value.read(from: &self)
        self.leaveRecord(to: outer)
        return value
    }

    mutating func optionalRecord<Value: WireValue>(_: Value.Type = Value.self)
        throws(WireDecodingError) -> Value?
    {
        let outer = try self.enterRecord()
        let value = self.isAtEnd ? nil : try Value.read(from: &self)
        self.leaveRecord(to: outer)
        return value
    }

    mutating func list<Value: WireValue>(of _: Value.Type = Value.self) throws(WireDecodingError)
        -> [Value]
    {
        var list: [Value] = []
        let count = try self.listCount()
        list.reserveCapacity(min(count, Self.reserveLimit))
        for _ in 0..<count { list.append(try self.record()) }
        return list
    }

    mutating func numbers() throws(WireDecodingError) -> [Int] {
        var list: [Int] = []
        let count = try self.listCount()
        list.reserveCapacity(min(count, Self.reserveLimit))
        for _ in 0..<count { list.append(try self.signed()) }
        return list
    }

    /// Every element has at least one byte, which limits the count.
    mutating func listCount() throws(WireDecodingError) -> Int {
        let count = try self.number()
        guard count <= UInt64(self.remaining) else { throw .malformed(.count) }
        return Int(count)
    }

    /// An item of an envelope; nil, and counted, if its kind is unknown.
    mutating func item<Value: WireValue>(_: Value.Type = Value.self) throws(WireDecodingError)
        -> Value?
    {
        let outer = try self.enterRecord()
        let end = self.end
        do throws(WireDecodingError) {
            let value = try Value.read(from: &self)
            self.leaveRecord(to: outer)
            return value
        } catch {
            guard case .unknownKind = error else { throw error }
            // The unknown kind may be in a nested record.
            self.end = end
            self.leaveRecord(to: outer)
            self.unknownItemCount += 1
            return nil
        }
    }

    // MARK: Repeated values

    mutating func conversation() throws(WireDecodingError) -> ConversationKey {
        let (outer, range) = try self.enterRepeatedRecord()
        let record = UnsafeRawBufferPointer(rebasing: self.bytes[range])
        let index = self.keyInterning.index(of: record)
        if let key = self.keyInterning.key(at: index, in: record) {
            self.leaveRecord(to: outer)
            return key
        }
        let key = try ConversationKey.read(from: &self)
        self.leaveRecord(to: outer)
        self.keyInterning.store(key, at: index)
        return key
    }

    mutating func person() throws(WireDecodingError) -> Person {
        let (outer, range) = try self.enterRepeatedRecord()
        if let last = self.lastPerson, self.isSame(last.range, range) {
            self.leaveRecord(to: outer)
            return last.value
        }
        let person = try Person.read(from: &self)
        self.leaveRecord(to: outer)
        self.lastPerson = (range, person)
        return person
    }

    private mutating func enterRepeatedRecord() throws(WireDecodingError) -> (
        outer: Int, range: Range<Int>
    ) {
        let outer = try self.enterRecord()
        return (outer, self.position..<self.end)
    }

    private func isSame(_ one: Range<Int>, _ other: Range<Int>) -> Bool {
        guard one.count == other.count else { return false }
        return memcmp(
            self.bytes.baseAddress! + one.lowerBound, self.bytes.baseAddress! + other.lowerBound,
            one.count) == 0
    }
}
