import Bytes
import DialectKit
import Identity
import JSON

/// Ids of chats: whole numbers as far as JSON has them for certain, texts beyond.
///
/// Any protocol's conversation can be named: one whose id is no number goes by its text.
enum ChatsID {
    /// Below it every whole number is one that all JSON readers hold exactly (RFC 8259 section 6).
    static let numberLimit = 1 << 53

    /// The number that a conversation's id is, if it is written as a number is.
    static func number(of id: ByteString) -> Int? {
        guard let number = MessageID.sequence(id.string), number < self.numberLimit else {
            return nil
        }
        return number
    }
}

extension ByteBuffer {
    mutating func append(chatID id: ByteString) {
        if let number = ChatsID.number(of: id) {
            self.append(decimal: number)
        } else {
            self.append(jsonString: id)
        }
    }
}

extension JSONDocument {
    /// The id of a chat, as a number or as a text.
    func requiredChatID(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> ByteString
    {
        guard let value = self.nonNullMember(name, of: object, in: bytes) else {
            throw FieldError("\(name): is missing")
        }
        switch self.kind(of: value) {
        case .number:
            guard let number = self.integer(value, in: bytes),
                (0..<ChatsID.numberLimit).contains(number)
            else {
                throw FieldError(
                    "\(name): must be a whole number from 0 to \(ChatsID.numberLimit - 1), or a string"
                )
            }
            return ByteString(String(number))
        case .string:
            return try self.requiredConversationID(name, of: object, in: bytes)
        default:
            throw FieldError("\(name): must be a whole number or a string")
        }
    }
}
