import RedisClient
import Testing

/// A reply of Redis that a test builds.
indirect enum SampleReply {
    case text(String)
    case number(Int)
    case null
    case list([SampleReply])

    private var wire: String {
        switch self {
        case .text(let text): "$\(text.utf8.count)\r\n\(text)\r\n"
        case .number(let number): ":\(number)\r\n"
        case .null: "$-1\r\n"
        case .list(let elements): "*\(elements.count)\r\n" + elements.map(\.wire).joined()
        }
    }

    func read<Value>(_ body: (RedisReply) throws -> Value) throws -> Value {
        let reader = RedisReplyReader(byteLimit: 1 << 20)
        try Array(self.wire.utf8).withUnsafeBytes { try reader.feed($0) }
        return try body(try #require(try reader.next()))
    }
}
