import ChatCore

/// The unanswered sends of each feed, in the order of their requests. Requests and feeds are
/// identified by their slots.
///
/// It is separate from the requests because it contains only numbers: it is read for every message,
/// and nothing of it is copied.
struct SendQueues: Sendable {
    private struct QueuePosition: Sendable {
        /// The position among all sends of this loop; 0 if the request is in no queue.
        var number: UInt64 = 0
        var feed: UInt32 = 0
        var previous = UInt32.max
        var next = UInt32.max
    }

    private struct SendQueue: Sendable {
        var last = UInt32.max
        /// One of the sends was refused; all others wait with it until then.
        var backedOffUntil: Int64 = 0
    }

    private var positions: [QueuePosition] = []
    private var queues: [SendQueue] = []
    private var lastNumber: UInt64 = 0

    /// Appends a send behind the earlier ones of the same feed.
    ///
    /// - Returns: the time until which the queue is backed off, if it is.
    mutating func append(_ request: UInt32, to feed: UInt32) -> Int64? {
        while self.positions.count <= Int(request) { self.positions.append(QueuePosition()) }
        while self.queues.count <= Int(feed) { self.queues.append(SendQueue()) }
        self.lastNumber += 1
        let previous = self.queues[Int(feed)].last
        self.positions[Int(request)] = QueuePosition(
            number: self.lastNumber, feed: feed, previous: previous)
        self.queues[Int(feed)].last = request
        if previous == .max {
            self.queues[Int(feed)].backedOffUntil = 0
            return nil
        }
        self.positions[Int(previous)].next = request
        return self.queues[Int(feed)].backedOffUntil == 0
            ? nil : self.queues[Int(feed)].backedOffUntil
    }

    /// Removes a request from its queue, if it is in one.
    mutating func remove(_ request: UInt32) {
        guard self.contains(request) else { return }
        let position = self.positions[Int(request)]
        if position.previous != .max { self.positions[Int(position.previous)].next = position.next }
        if position.next == .max {
            self.queues[Int(position.feed)].last = position.previous
        } else {
            self.positions[Int(position.next)].previous = position.previous
        }
        self.positions[Int(request)].number = 0
    }

    /// The feed has closed: its sends have no order any more.
    mutating func removeAll(of feed: UInt32) {
        guard Int(feed) < self.queues.count else { return }
        while self.queues[Int(feed)].last != .max { self.remove(self.queues[Int(feed)].last) }
    }

    private func contains(_ request: UInt32) -> Bool {
        Int(request) < self.positions.count && self.positions[Int(request)].number != 0
    }

    /// The send's position and that of its predecessor.
    func order(of request: UInt32) -> SendOrder {
        guard self.contains(request) else { return .none }
        let previous = self.positions[Int(request)].previous
        return SendOrder(
            number: self.positions[Int(request)].number,
            after: previous == .max ? 0 : self.positions[Int(previous)].number)
    }

    /// The send before this one.
    func predecessor(of request: UInt32) -> UInt32? {
        self.contains(request) && self.positions[Int(request)].previous != .max
            ? self.positions[Int(request)].previous : nil
    }

    /// Backs off this request's queue, unless it is backed off already.
    ///
    /// - Returns: the time until which it is backed off; nil if the request is in no queue.
    mutating func backOff(_ request: UInt32, until time: Int64, at now: Int64) -> Int64? {
        guard self.contains(request) else { return nil }
        let feed = Int(self.positions[Int(request)].feed)
        if self.queues[feed].backedOffUntil <= now { self.queues[feed].backedOffUntil = time }
        return self.queues[feed].backedOffUntil
    }

    /// Ends the backoff of this request's queue, because the request is being sent again.
    mutating func resume(_ request: UInt32) {
        if self.contains(request) {
            self.queues[Int(self.positions[Int(request)].feed)].backedOffUntil = 0
        }
    }
}
