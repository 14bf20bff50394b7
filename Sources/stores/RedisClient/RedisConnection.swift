/// Identifies one connection to one server; see `RedisClient.replyingConnection`.
public struct RedisConnection: Sendable, Hashable {
    let linkID: Int
    let epoch: Int
}
