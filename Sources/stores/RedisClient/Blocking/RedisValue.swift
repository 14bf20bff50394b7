/// A Redis reply, copied so that it outlives the reply buffer.
public enum RedisValue: Sendable, Equatable {
    case nothing
    case number(Int)
    case text(String)
    case list([RedisValue])

    public init(_ reply: RedisReply) {
        switch reply.kind {
        case .null, .error: self = .nothing
        case .integer: self = .number(Int(reply.integer ?? 0))
        case .string, .status: self = .text(reply.string)
        case .array: self = .list(reply.elements.map(RedisValue.init))
        }
    }

    public var text: String? { if case .text(let text) = self { text } else { nil } }

    /// The number, also if it is a text.
    public var number: Int? {
        switch self {
        case .number(let number): number
        case .text(let text): Int(text)
        case .nothing, .list: nil
        }
    }

    /// The element of a list; `nothing` if there is none.
    public subscript(index: Int) -> RedisValue {
        guard case .list(let elements) = self, elements.indices.contains(index) else {
            return .nothing
        }
        return elements[index]
    }
}
