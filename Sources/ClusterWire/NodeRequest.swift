internal import Bytes
public import ChatModel
internal import JSON

/// A request from one node to another for operators, as `ControlMessage` carries it.
///
/// It follows the rules of `NodePacket`: a new request has a new topic, a new field is a new member
/// of the body, and a reader skips members that it does not know. The reply is a JSON document that
/// nodes of other versions may extend in the same way.
public enum NodeRequest: Sendable, Equatable {
    /// The node's row in `confab nodes`.
    case nodeRow
    /// The shards that the node owns.
    case shards
    /// How far the owner has stored a conversation.
    case storedPosition(ConversationKey)
    /// The node's row in `confab redis`.
    case redisRow
    /// The node hands over its shards and clients, in this time and at most this many clients per
    /// second.
    case drain(deadlineSeconds: Double?, rate: Int?)
    /// The node accepts shards and clients again.
    case resume

    /// The name on the wire.
    public var topic: String {
        switch self {
        case .nodeRow: "node"
        case .shards: "shards"
        case .storedPosition: "stored"
        case .redisRow: "redis"
        case .drain: "drain"
        case .resume: "resume"
        }
    }

    /// The fields on the wire: a JSON object.
    public var body: String {
        switch self {
        case .nodeRow, .shards, .redisRow, .resume:
            return JSONTree.object([]).text
        case .storedPosition(let key):
            return JSONTree.object([
                .init("conversation", .string(key.id.string)),
                .init("tenant", .string(key.tenant.string)),
            ]).text
        case .drain(let seconds, let rate):
            var members: [JSONTree.ObjectMember] = []
            if let seconds { members.append(.init("deadline", .number("\(seconds)"))) }
            if let rate { members.append(.init("rate", .integer(rate))) }
            return JSONTree.object(members).text
        }
    }

    /// Nil for a request that this version does not know, or whose body is malformed.
    public init?(topic: String, body: String) {
        guard let body = try? JSONTree(parsing: body) else { return nil }
        switch topic {
        case "node": self = .nodeRow
        case "shards": self = .shards
        case "stored":
            guard let id = body["conversation"]?.stringValue,
                let tenant = body["tenant"]?.stringValue
            else { return nil }
            self = .storedPosition(
                ConversationKey(tenant: ByteString(tenant), id: ByteString(id)))
        case "redis": self = .redisRow
        case "drain":
            self = .drain(
                deadlineSeconds: body["deadline"]?.doubleValue, rate: body["rate"]?.integerValue)
        case "resume": self = .resume
        default: return nil
        }
    }
}
