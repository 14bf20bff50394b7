/// Names one connection to one server, for as long as it lasts; see `RedisClient.answering`.
public struct RedisConnection: Sendable, Hashable {
    let linkID: Int
    let epoch: Int
}
