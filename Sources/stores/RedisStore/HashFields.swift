import Bytes
import ChatModel
import RedisClient

/// The fields of a value that a hash in Redis has. Empty texts, bytes that are 0 and missing times
/// have none.
struct HashFieldWriter: FieldVisitor {
    typealias Failure = Never

    private var fields: [(name: StaticString, value: ByteString)] = []

    /// The fields of a conversation's hash. The time of the last change is in its field `at`.
    static func fields(of record: ConversationRecord) -> [(name: StaticString, value: ByteString)] {
        var writer = HashFieldWriter()
        record.readFields(&writer)
        return writer.fields.filter { $0.name.description != HashFieldReader.nameOfLastChange }
    }

    mutating func visit(_ name: StaticString, text: inout ByteString?) {
        self.fields.append((name, text ?? ""))
    }

    mutating func visit(_ name: StaticString, byte: inout UInt8) {
        self.fields.append((name, byte == 0 ? "" : ByteString(String(byte))))
    }

    mutating func visit(_ name: StaticString, number: inout Int) {
        self.fields.append((name, ByteString(String(number))))
    }

    mutating func visit(_ name: StaticString, time: inout Timestamp?) {
        self.fields.append((name, time.map { ByteString(String($0.milliseconds)) } ?? ""))
    }

    mutating func visit(_ name: StaticString, requiredText: inout ByteString) {
        self.fields.append((name, requiredText))
    }

    mutating func visit(_ name: StaticString, requiredTime: inout Timestamp) {
        self.fields.append((name, ByteString(String(requiredTime.milliseconds))))
    }
}

/// Reads the fields of a value from a hash in Redis.
struct HashFieldReader: FieldVisitor {
    typealias Failure = DamagedValue

    static let nameOfLastChange = "updated"

    /// Names and values, from the reply to HGETALL.
    private let pairs: [(name: RedisReply, value: RedisReply)]

    init(_ reply: RedisReply) {
        var pairs: [(RedisReply, RedisReply)] = []
        var parts = reply.elements
        while let name = parts.next(), let value = parts.next() { pairs.append((name, value)) }
        self.pairs = pairs
    }

    /// Nil if the hash has no such field.
    func value(_ name: StaticString) -> RedisReply? {
        self.pairs.first { $0.name.isText(name) }?.value
    }

    mutating func visit(_ name: StaticString, text: inout ByteString?) {
        if let value = self.value(name) { text = ByteString(value.string) }
    }

    mutating func visit(_ name: StaticString, byte: inout UInt8) throws(DamagedValue) {
        if let number = try self.number(name) {
            guard let value = UInt8(exactly: number) else { throw self.damage(name, number) }
            byte = value
        }
    }

    mutating func visit(_ name: StaticString, number: inout Int) throws(DamagedValue) {
        if let value = try self.number(name) { number = Int(value) }
    }

    mutating func visit(_ name: StaticString, time: inout Timestamp?) throws(DamagedValue) {
        if let number = try self.number(name) { time = Timestamp(milliseconds: number) }
    }

    mutating func visit(_ name: StaticString, requiredText: inout ByteString) {
        if let value = self.value(name) { requiredText = ByteString(value.string) }
    }

    mutating func visit(_ name: StaticString, requiredTime: inout Timestamp) throws(DamagedValue) {
        if let number = try self.number(name) { requiredTime.milliseconds = number }
    }

    func invalid(_ name: StaticString, _ byte: UInt8) -> DamagedValue { self.damage(name, byte) }

    private func number(_ name: StaticString) throws(DamagedValue) -> Int64? {
        guard let value = self.value(name) else { return nil }
        guard let number = value.integer else { throw self.damage(name, value.string) }
        return number
    }

    private func damage(_ name: StaticString, _ value: some CustomStringConvertible)
        -> DamagedValue
    {
        DamagedValue("\(name) is \(value)")
    }
}
