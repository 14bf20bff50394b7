import ChatCore
import ChatModel

/// What a loop has asked of owners and waits for.
///
/// A request is asked again, under the same number and client id, until it is answered or its time is over: the
/// owner may have died with it.
struct Requests: Sendable {
    struct Pending: Sendable {
        let conversation: ConversationKey
        let input: ConversationInput
        var owner: OwnerID
        /// The conversation's feed on this loop, where there is one.
        let feed: FeedID?
        /// What the asker knows it by; nil for the loop's own.
        let context: UInt64?
        let deadline: Int64
        var askAgainAt: Int64
        var attempts: Int32 = 1
        /// Whoever asked is gone; the answer is only cleared away.
        var isCancelled = false
        /// The newest message that this loop's feed had shown when it was asked.
        let shownThrough: SequenceNumber
        /// Of a send through a feed: its number among all sends of this loop. 0 for what has no order.
        fileprivate(set) var turn: UInt64 = 0
        /// Where the feed's sends next to it stand that wait for an answer as well.
        fileprivate(set) var before = UInt32.max
        fileprivate(set) var behind = UInt32.max
        /// Where it stands in the timetable; other places that name it are of the past.
        var bucket: UInt8 = 0
        /// What the owner has said, while the feed has not yet shown what comes before it.
        var held: ChatAnswer?

        var dueAt: Int64 { min(self.askAgainAt, self.deadline) }
    }

    /// The sends of a feed that wait for an answer, in their order.
    private struct Line: Sendable {
        var last = UInt32.max
        /// One of them was refused: all others wait with it until then.
        var putOffUntil: Int64 = 0
    }

    private var slots: [Pending?] = []
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    private var timetable = Timetable()
    /// By the feed's slot.
    private var lines: [Line] = []
    private var lastTurn: UInt64 = 0
    private(set) var count = 0

    mutating func insert(_ pending: consuming Pending) -> RequestID {
        let slot: UInt32
        if let reused = self.free.popLast() {
            slot = reused
        } else {
            slot = UInt32(self.slots.count)
            self.slots.append(nil)
            self.generations.append(0)
        }
        self.generations[Int(slot)] &+= 1
        // 0 says that no answer is wanted.
        if self.generations[Int(slot)] == 0 { self.generations[Int(slot)] = 1 }
        self.slots[Int(slot)] = consume pending
        self.count += 1
        self.queue(Int(slot))
        let id = self.id(of: Int(slot))
        self.schedule(id)
        return id
    }

    // MARK: Order

    /// A send stands behind those that came before it through the same feed, and waits with them where they are put off.
    private mutating func queue(_ slot: Int) {
        guard case .command(.post) = self.slots[slot]!.input, let feed = self.slots[slot]!.feed else { return }
        let line = Int(feed.slot)
        while self.lines.count <= line { self.lines.append(Line()) }
        self.lastTurn += 1
        self.slots[slot]!.turn = self.lastTurn
        let before = self.lines[line].last
        self.lines[line].last = UInt32(slot)
        if before == .max {
            self.lines[line].putOffUntil = 0
            return
        }
        self.slots[slot]!.before = before
        self.slots[Int(before)]!.behind = UInt32(slot)
        if self.lines[line].putOffUntil != 0 {
            self.slots[slot]!.askAgainAt = self.lines[line].putOffUntil
            self.slots[slot]!.attempts = 0
        }
    }

    /// A send that needs no place among the others any more.
    private mutating func unqueue(_ slot: Int) {
        guard let pending = self.slots[slot], pending.turn != 0, let feed = pending.feed else { return }
        if pending.before != .max { self.slots[Int(pending.before)]!.behind = pending.behind }
        if pending.behind != .max {
            self.slots[Int(pending.behind)]!.before = pending.before
        } else {
            self.lines[Int(feed.slot)].last = pending.before
        }
        self.slots[slot]!.turn = 0
        self.slots[slot]!.before = .max
        self.slots[slot]!.behind = .max
    }

    /// The feed is closed: its sends have no order any more.
    mutating func dissolveLine(of feed: UInt32) {
        guard Int(feed) < self.lines.count else { return }
        while self.lines[Int(feed)].last != .max { self.unqueue(Int(self.lines[Int(feed)].last)) }
    }

    /// Which send this is, and which it must not overtake; zeros where it has no order.
    func turn(of id: RequestID) -> Turn {
        guard let slot = self.slot(of: id), let turn = self.slots[slot]?.turn, turn != 0, let before = self.slots[slot]?.before else {
            return .none
        }
        return Turn(number: turn, after: before == .max ? 0 : self.slots[Int(before)]!.turn)
    }

    /// Whether it was not sent, because those before it are put off.
    func isPutOff(_ id: RequestID) -> Bool {
        self.slot(of: id).flatMap { self.slots[$0]?.attempts } == 0
    }

    /// Refused for now: to be asked again at this time. So are the sends before it, of which one may be what the owner misses, and no send
    /// that follows is asked earlier.
    mutating func putOff(_ id: RequestID, until time: Int64, at now: Int64) {
        guard let slot = self.slot(of: id) else { return }
        guard self.slots[slot]!.turn != 0, let feed = self.slots[slot]!.feed else { return self.postpone(id, until: time) }
        let line = Int(feed.slot)
        if self.lines[line].putOffUntil <= now { self.lines[line].putOffUntil = time }
        let until = self.lines[line].putOffUntil
        var next = UInt32(slot)
        // Before one that is put off already all others are.
        while next != .max, self.slots[Int(next)]!.askAgainAt != until {
            self.postpone(self.id(of: Int(next)), until: until)
            next = self.slots[Int(next)]!.before
        }
    }

    private func id(of slot: Int) -> RequestID { RequestID(self.generations[slot]) << 32 | RequestID(slot) }

    private func slot(of id: RequestID) -> Int? {
        let slot = Int(id & 0xFFFF_FFFF)
        guard slot < self.slots.count, self.generations[slot] == UInt32(id >> 32), self.slots[slot] != nil else { return nil }
        return slot
    }

    subscript(id: RequestID) -> Pending? {
        self.slot(of: id).flatMap { self.slots[$0] }
    }

    /// All that wait for an answer, sends in their order.
    var all: [RequestID] {
        self.inOrder(self.slots.indices.lazy.filter { self.slots[$0] != nil }.map(self.id))
    }

    private func inOrder(_ requests: [RequestID]) -> [RequestID] {
        let turns = requests.enumerated().map { (turn: self[$1]?.turn ?? 0, place: $0, id: $1) }
        return turns.sorted { ($0.turn, $0.place) < ($1.turn, $1.place) }.map(\.id)
    }

    /// Another is to be asked from here on.
    mutating func redirect(_ id: RequestID, to owner: OwnerID) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]!.owner = owner
    }

    mutating func remove(_ id: RequestID) -> Pending? {
        guard let slot = self.slot(of: id) else { return nil }
        self.unqueue(slot)
        self.free.append(UInt32(slot))
        self.count -= 1
        var pending: Pending?
        swap(&pending, &self.slots[slot])
        return pending
    }

    /// To be asked again at this time, unless its own time is over before.
    mutating func postpone(_ id: RequestID, until time: Int64, isAttempt: Bool = false) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]?.askAgainAt = time
        if isAttempt {
            self.slots[slot]?.held = nil
            self.slots[slot]?.attempts += 1
            if self.slots[slot]!.turn != 0, let feed = self.slots[slot]!.feed { self.lines[Int(feed.slot)].putOffUntil = 0 }
        }
        self.schedule(id)
    }

    private mutating func schedule(_ id: RequestID) {
        guard let slot = self.slot(of: id), let due = self.slots[slot]?.dueAt else { return }
        self.slots[slot]?.bucket = self.timetable.insert(id, at: due)
    }

    /// The owner has answered, and the feed will show it in its place: it is not asked again.
    mutating func hold(_ id: RequestID, _ answer: ChatAnswer) {
        guard let slot = self.slot(of: id) else { return }
        self.unqueue(slot)
        self.slots[slot]?.held = answer
    }

    mutating func cancel(_ id: RequestID) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]?.isCancelled = true
    }

    /// Those that are due to be asked again, or over; sends in their order.
    mutating func takeDue(at time: Int64) -> [RequestID] {
        var due: [RequestID] = []
        for (id, bucket) in self.timetable.takeDue(at: time) {
            guard let slot = self.slot(of: id), self.slots[slot]?.bucket == bucket, let dueAt = self.slots[slot]?.dueAt else { continue }
            guard dueAt <= time else {
                self.schedule(id)
                continue
            }
            // It may stand in this bucket twice, put off to the same tenth of a second by two refusals.
            self.slots[slot]?.bucket = .max
            due.append(id)
        }
        return self.inOrder(due)
    }
}
