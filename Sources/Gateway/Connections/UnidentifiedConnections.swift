import EventLoop

/// The connections of one loop that have shown neither a token nor a user, oldest first.
struct UnidentifiedConnections {
    /// It also has connections that have left since.
    private var queue: [SocketToken] = []
    private var start = 0
    private(set) var count = 0

    mutating func add(_ token: SocketToken, isMember: (SocketToken) -> Bool) {
        // Those that have left are at most as many as the others, so that the cost of this is
        // constant for each connection.
        if self.queue.count - self.start > 2 * self.count + 64 {
            self.queue = self.queue[self.start...].filter(isMember)
            self.start = 0
        }
        self.queue.append(token)
        self.count += 1
    }

    mutating func remove() { self.count -= 1 }

    /// The oldest connection that may be closed, among the oldest 64; nil if there is none.
    mutating func oldest(
        isMember: (SocketToken) -> Bool, mayClose: (SocketToken) -> Bool
    ) -> SocketToken? {
        while self.start < self.queue.count, !isMember(self.queue[self.start]) { self.start += 1 }
        if self.start > 1024, self.start > self.queue.count / 2 {
            self.queue.removeFirst(self.start)
            self.start = 0
        }
        return self.queue[self.start...].prefix(64).first { isMember($0) && mayClose($0) }
    }
}
