import ChatCore

/// The sends of each feed that wait for an answer, in the order in which they were asked: requests by their slots, feeds by theirs.
///
/// Beside the requests, because all of it is numbers: it is looked at for every message, and copied nowhere.
struct SendLines: Sendable {
    private struct Place: Sendable {
        /// The send's number among all of this loop's; 0 where the request stands in no line.
        var turn: UInt64 = 0
        var feed: UInt32 = 0
        var before = UInt32.max
        var behind = UInt32.max
    }

    private struct Line: Sendable {
        var last = UInt32.max
        /// One of them was refused: all others wait with it until then.
        var putOffUntil: Int64 = 0
    }

    private var places: [Place] = []
    private var lines: [Line] = []
    private var lastTurn: UInt64 = 0

    /// A send stands behind those that came before it through the same feed.
    ///
    /// - Returns: until when it waits with them, where they are put off.
    mutating func append(_ request: Int, of feed: UInt32) -> Int64? {
        while self.places.count <= request { self.places.append(Place()) }
        while self.lines.count <= Int(feed) { self.lines.append(Line()) }
        self.lastTurn += 1
        let before = self.lines[Int(feed)].last
        self.places[request] = Place(turn: self.lastTurn, feed: feed, before: before)
        self.lines[Int(feed)].last = UInt32(request)
        if before == .max {
            self.lines[Int(feed)].putOffUntil = 0
            return nil
        }
        self.places[Int(before)].behind = UInt32(request)
        return self.lines[Int(feed)].putOffUntil == 0 ? nil : self.lines[Int(feed)].putOffUntil
    }

    /// A request that needs no place among the others any more, if it has one.
    mutating func remove(_ request: Int) {
        guard self.contains(request) else { return }
        let place = self.places[request]
        if place.before != .max { self.places[Int(place.before)].behind = place.behind }
        if place.behind == .max {
            self.lines[Int(place.feed)].last = place.before
        } else {
            self.places[Int(place.behind)].before = place.before
        }
        self.places[request].turn = 0
    }

    /// The feed is closed: its sends have no order any more.
    mutating func dissolve(_ feed: UInt32) {
        guard Int(feed) < self.lines.count else { return }
        while self.lines[Int(feed)].last != .max { self.remove(Int(self.lines[Int(feed)].last)) }
    }

    private func contains(_ request: Int) -> Bool { request < self.places.count && self.places[request].turn != 0 }

    /// Which send this is, and which it must not overtake.
    func turn(of request: Int) -> Turn {
        guard self.contains(request) else { return .none }
        let before = self.places[request].before
        return Turn(number: self.places[request].turn, after: before == .max ? 0 : self.places[Int(before)].turn)
    }

    /// The send before this one.
    func before(_ request: Int) -> Int? {
        self.contains(request) && self.places[request].before != .max ? Int(self.places[request].before) : nil
    }

    /// Puts off the line in which this request stands, unless it is put off already.
    ///
    /// - Returns: until when; nil where it stands in none.
    mutating func putOff(_ request: Int, until time: Int64, at now: Int64) -> Int64? {
        guard self.contains(request) else { return nil }
        let feed = Int(self.places[request].feed)
        if self.lines[feed].putOffUntil <= now { self.lines[feed].putOffUntil = time }
        return self.lines[feed].putOffUntil
    }

    /// This request is asked again: its line waits no longer.
    mutating func resume(_ request: Int) {
        if self.contains(request) { self.lines[Int(self.places[request].feed)].putOffUntil = 0 }
    }
}
