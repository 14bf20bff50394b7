import ChatCore

/// The sends of each feed that wait for an answer, in the order in which they were asked: requests by their slots, feeds by theirs.
///
/// Beside the requests, because all of it is numbers: it is looked at for every message, and copied nowhere.
struct SendQueues: Sendable {
    private struct QueuePosition: Sendable {
        /// The send's number among all of this loop's; 0 where the request stands in no line.
        var number: UInt64 = 0
        var feed: UInt32 = 0
        var previous = UInt32.max
        var next = UInt32.max
    }

    private struct SendQueue: Sendable {
        var last = UInt32.max
        /// One of them was refused: all others wait with it until then.
        var backedOffUntil: Int64 = 0
    }

    private var positions: [QueuePosition] = []
    private var queues: [SendQueue] = []
    private var lastNumber: UInt64 = 0

    /// A send stands behind those that came before it through the same feed.
    ///
    /// - Returns: until when it waits with them, where they are put off.
    mutating func append(_ request: Int, to feed: UInt32) -> Int64? {
        while self.positions.count <= request { self.positions.append(QueuePosition()) }
        while self.queues.count <= Int(feed) { self.queues.append(SendQueue()) }
        self.lastNumber += 1
        let before = self.queues[Int(feed)].last
        self.positions[request] = QueuePosition(
            number: self.lastNumber, feed: feed, previous: before)
        self.queues[Int(feed)].last = UInt32(request)
        if before == .max {
            self.queues[Int(feed)].backedOffUntil = 0
            return nil
        }
        self.positions[Int(before)].next = UInt32(request)
        return self.queues[Int(feed)].backedOffUntil == 0
            ? nil : self.queues[Int(feed)].backedOffUntil
    }

    /// A request that needs no place among the others any more, if it has one.
    mutating func remove(_ request: Int) {
        guard self.contains(request) else { return }
        let place = self.positions[request]
        if place.previous != .max { self.positions[Int(place.previous)].next = place.next }
        if place.next == .max {
            self.queues[Int(place.feed)].last = place.previous
        } else {
            self.positions[Int(place.next)].previous = place.previous
        }
        self.positions[request].number = 0
    }

    /// The feed is closed: its sends have no order any more.
    mutating func removeAll(of feed: UInt32) {
        guard Int(feed) < self.queues.count else { return }
        while self.queues[Int(feed)].last != .max { self.remove(Int(self.queues[Int(feed)].last)) }
    }

    private func contains(_ request: Int) -> Bool {
        request < self.positions.count && self.positions[request].number != 0
    }

    /// Which send this is, and which it must not overtake.
    func order(of request: Int) -> SendOrder {
        guard self.contains(request) else { return .none }
        let before = self.positions[request].previous
        return SendOrder(
            number: self.positions[request].number,
            after: before == .max ? 0 : self.positions[Int(before)].number)
    }

    /// The send before this one.
    func predecessor(of request: Int) -> Int? {
        self.contains(request) && self.positions[request].previous != .max
            ? Int(self.positions[request].previous) : nil
    }

    /// Puts off the line in which this request stands, unless it is put off already.
    ///
    /// - Returns: until when; nil where it stands in none.
    mutating func backOff(_ request: Int, until time: Int64, at now: Int64) -> Int64? {
        guard self.contains(request) else { return nil }
        let feed = Int(self.positions[request].feed)
        if self.queues[feed].backedOffUntil <= now { self.queues[feed].backedOffUntil = time }
        return self.queues[feed].backedOffUntil
    }

    /// This request is asked again: its line waits no longer.
    mutating func resume(_ request: Int) {
        if self.contains(request) {
            self.queues[Int(self.positions[request].feed)].backedOffUntil = 0
        }
    }
}
