import Bytes
import DialectKit
import Identity
import JSON

/// Chat ids: a whole number if JSON represents it exactly, otherwise a string.
///
/// Conversations of all protocols can be named; a non-numeric id is written as a string.
enum ChatsID {
    /// All JSON readers represent whole numbers below this limit exactly (RFC 8259 section 6).
    static let numberLimit = 1 << 53

    /// The number in a conversation's id, if the id is a canonical decimal.
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
    /// The id of a chat, from a number or a string.
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
                    "\(name): must be a whole number from 0 to \(ChatsID.numberLimit - 1), "
                        + "or a string"
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
