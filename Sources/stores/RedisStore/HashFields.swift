import Bytes
import ChatModel
import RedisClient

/// Writes the fields of a conversation as its hash has them: numbers as decimal digits, nil and a
/// byte that is 0 as empty texts, which the hash leaves out.
struct HashFieldWriter: FieldVisitor {
    /// The time of the last change, which is a part of the state in the hash's field `at`.
    static let nameOfLastChange = "updated"

    private(set) var fields: [(name: StaticString, value: ByteString)] = []

    init(_ record: ConversationRecord) {
        record.readFields(&self)
        self.fields.removeAll { $0.name.description == Self.nameOfLastChange }
    }

    /// Only the properties that the creator and admins may change.
    init(propertiesOf record: ConversationRecord) {
        record.readFields(&self)
        self.fields.removeAll {
            !ConversationRecord.propertyNames.contains($0.name.description)
        }
    }

    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool) {
        self.fields.append((name, text ?? ""))
    }

    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber) {
        let isDefault = kind == .byte && number == 0
        self.fields.append(
            (name, isDefault ? "" : number.map { ByteString(String($0)) } ?? ""))
    }
}

/// Reads the fields of a conversation from its hash.
struct HashFieldReader: FieldVisitor {
    typealias Failure = DamagedValue

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

    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool) {
        if let value = self.value(name) { text = ByteString(value.string) }
    }

    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber)
        throws(DamagedValue)
    {
        guard let value = self.value(name) else { return }
        guard let found = value.integer else { throw DamagedValue("\(name) is \(value.string)") }
        number = found
    }

    func invalid(_ name: StaticString) -> DamagedValue {
        DamagedValue("\(name) is \(self.value(name)?.string ?? "")")
    }
}
