/// Names one connection to one server, for as long as it lasts; see `RedisClient.answering`.
public struct RedisConnection: Sendable, Hashable {
    let link: Int
    let epoch: Int
}
