internal import EventLoop

/// A cluster node that executes commands, and its link.
struct RedisClusterServer {
    var link: RedisLink
    /// Why the link has no connection; nil before the first failure and while it has one.
    var outage: RedisOutage?
    /// When the link stopped belonging to a master or last received a redirected command; nil while
    /// it belongs to one.
    var unusedSince: MonotonicTime?

    var connection: RedisConnection {
        RedisConnection(linkID: self.link.id, epoch: self.link.session.epoch)
    }
}
