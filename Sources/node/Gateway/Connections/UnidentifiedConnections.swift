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

    /// A connection has shown who it is, or has been closed. It may still be in the queue.
    mutating func remove() { self.count -= 1 }

    /// Removes the oldest connection that may be closed, among the oldest 64; nil if there is none.
    mutating func takeOldest(
        isMember: (SocketToken) -> Bool, mayClose: (SocketToken) -> Bool
    ) -> SocketToken? {
        var inUse: [SocketToken] = []
        var oldest: SocketToken?
        while oldest == nil, self.start < self.queue.count, inUse.count < 64 {
            let token = self.queue[self.start]
            self.start += 1
            guard isMember(token) else { continue }
            if mayClose(token) { oldest = token } else { inUse.append(token) }
        }
        // These stay the oldest. No later call visits the others before them, which have left.
        for token in inUse.reversed() {
            self.start -= 1
            self.queue[self.start] = token
        }
        if self.start > 1024, self.start > self.queue.count / 2 {
            self.queue.removeFirst(self.start)
            self.start = 0
        }
        return oldest
    }
}
