import RedisClient

/// A reply as a value that can be kept and compared.
indirect enum RedisReplyValue: Hashable, Sendable {
    case status(String), error(String), integer(Int64), null
    case bytes([UInt8])
    case array([RedisReplyValue])

    init(_ reply: RedisReply) {
        switch reply.kind {
        case .status: self = .status(reply.string)
        case .error: self = .error(reply.string)
        case .integer: self = .integer(reply.integer!)
        case .string: self = .bytes([UInt8](reply.bytes))
        case .array: self = .array(reply.elements.map(RedisReplyValue.init))
        case .null: self = .null
        }
    }

    static func text(_ text: String) -> RedisReplyValue { .bytes(Array(text.utf8)) }

    /// The encoding that Redis would send.
    var wire: [UInt8] {
        switch self {
        case .status(let text): Array("+\(text)\r\n".utf8)
        case .error(let text): Array("-\(text)\r\n".utf8)
        case .integer(let number): Array(":\(number)\r\n".utf8)
        case .null: Array("$-1\r\n".utf8)
        case .bytes(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + Array("\r\n".utf8)
        case .array(let elements): Array("*\(elements.count)\r\n".utf8) + elements.flatMap(\.wire)
        }
    }
}
