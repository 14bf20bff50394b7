import ChatCore
import ChatModel

/// What a loop has asked of owners and waits for.
///
/// A request is asked again, under the same number and client id, until it is answered or its time is over: the
/// owner may have died with it.
struct OwnerRequests: Sendable {
    struct OwnerRequest: Sendable {
        let conversation: ConversationKey
        let input: ConversationInput
        var owner: LoopID
        /// The conversation's feed on this loop, where there is one.
        let feed: FeedID?
        /// What the asker knows it by; nil for the loop's own.
        let context: UInt64?
        let deadline: Int64
        var retryAt: Int64
        var attempts: Int32 = 1
        /// The last attempt has left, and no answer says that it has changed nothing.
        var isOutstanding = true
        /// An earlier attempt may have changed something, or may still do so.
        var isInDoubt = false
        /// Whoever asked is gone; the answer is only cleared away.
        var isCancelled = false
        /// The newest message that this loop's feed had shown when it was asked.
        let deliveredThrough: SequenceNumber
        /// Where it stands in the timetable; other places that name it are of the past.
        var bucket: UInt8 = 0
        /// What the owner has said, while the feed has not yet shown what comes before it.
        var deferredAnswer: ChatAnswer?

        var dueAt: Int64 { min(self.retryAt, self.deadline) }
    }

    private var slots: [OwnerRequest?] = []
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    private var retryWheel = RetryWheel()
    private var sendQueues = SendQueues()
    private(set) var count = 0

    /// A send waits with those before it where they are put off: then it is not to be asked now.
    mutating func insert(_ pending: consuming OwnerRequest) -> RequestID {
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
        if pending.input.isSend, let feed = pending.feed,
            let time = self.sendQueues.append(Int(slot), to: feed.slot)
        {
            pending.retryAt = time
            pending.attempts = 0
        }
        // Not sent yet.
        if pending.attempts == 0 { pending.isOutstanding = false }
        self.slots[Int(slot)] = consume pending
        self.count += 1
        let id = self.id(of: Int(slot))
        self.schedule(id)
        return id
    }

    // MARK: Order

    /// The feed is closed: its sends have no order any more.
    mutating func removeQueue(of feed: UInt32) { self.sendQueues.removeAll(of: feed) }

    /// Which send this is, and which it must not overtake; none for what has no order.
    func sendOrder(of id: RequestID) -> SendOrder {
        self.slot(of: id).map { self.sendQueues.order(of: $0) } ?? .none
    }

    /// Whether it has never been sent, because those before it are put off.
    func isBackedOff(_ id: RequestID) -> Bool {
        self.slot(of: id).flatMap { self.slots[$0]?.attempts } == 0
    }

    /// Refused for now: to be asked again at this time. So are the sends before it, of which one may be what the owner misses, and no send
    /// that follows is asked earlier.
    mutating func backOff(_ id: RequestID, until time: Int64, at now: Int64) {
        guard let slot = self.slot(of: id) else { return }
        guard let until = self.sendQueues.backOff(slot, until: time, at: now) else {
            return self.postpone(id, until: time)
        }
        var next = Optional(slot)
        // Before one that is put off already all others are.
        while let slot = next, self.slots[slot]!.retryAt != until {
            self.postpone(self.id(of: slot), until: until)
            next = self.sendQueues.predecessor(of: slot)
        }
    }

    private func id(of slot: Int) -> RequestID {
        RequestID(self.generations[slot]) << 32 | RequestID(slot)
    }

    private func slot(of id: RequestID) -> Int? {
        let slot = Int(id & 0xFFFF_FFFF)
        guard slot < self.slots.count, self.generations[slot] == UInt32(id >> 32),
            self.slots[slot] != nil
        else { return nil }
        return slot
    }

    subscript(id: RequestID) -> OwnerRequest? {
        self.slot(of: id).flatMap { self.slots[$0] }
    }

    /// All that wait for an answer, sends in their order.
    var all: [RequestID] {
        self.inOrder(self.slots.indices.lazy.filter { self.slots[$0] != nil }.map(self.id))
    }

    private func inOrder(_ requests: [RequestID]) -> [RequestID] {
        let turns = requests.enumerated().map {
            (turn: self.sendOrder(of: $1).number, place: $0, id: $1)
        }
        return turns.sorted { ($0.turn, $0.place) < ($1.turn, $1.place) }.map(\.id)
    }

    /// Another is to be asked from here on.
    mutating func redirect(_ id: RequestID, to owner: LoopID) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]!.owner = owner
    }

    mutating func remove(_ id: RequestID) -> OwnerRequest? {
        guard let slot = self.slot(of: id) else { return nil }
        self.sendQueues.remove(slot)
        self.free.append(UInt32(slot))
        self.count -= 1
        var pending: OwnerRequest?
        swap(&pending, &self.slots[slot])
        return pending
    }

    /// To be asked again at this time, unless its own time is over before.
    mutating func postpone(_ id: RequestID, until time: Int64, isAttempt: Bool = false) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]?.retryAt = time
        if isAttempt {
            self.slots[slot]?.deferredAnswer = nil
            self.slots[slot]?.attempts += 1
            if self.slots[slot]!.isOutstanding { self.slots[slot]!.isInDoubt = true }
            self.slots[slot]!.isOutstanding = true
            self.sendQueues.resume(slot)
        }
        self.schedule(id)
    }

    private mutating func schedule(_ id: RequestID) {
        guard let slot = self.slot(of: id), let due = self.slots[slot]?.dueAt else { return }
        self.slots[slot]?.bucket = self.retryWheel.insert(id, at: due)
    }

    /// The owner has answered the last attempt without doing what was asked.
    ///
    /// - Parameter isInDoubt: it does not know whether it was done.
    mutating func attemptFailed(_ id: RequestID, isInDoubt: Bool = false) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]!.isOutstanding = false
        if isInDoubt { self.slots[slot]!.isInDoubt = true }
    }

    /// The owner has answered, and the feed will show it in its place: it is not asked again.
    mutating func deferAnswer(to id: RequestID, _ answer: ChatAnswer) {
        guard let slot = self.slot(of: id) else { return }
        self.sendQueues.remove(slot)
        self.slots[slot]?.deferredAnswer = answer
    }

    mutating func cancel(_ id: RequestID) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]?.isCancelled = true
    }

    /// Those that are due to be asked again, or over; sends in their order.
    mutating func takeDue(at time: Int64) -> [RequestID] {
        var due: [RequestID] = []
        for (id, bucket) in self.retryWheel.takeDue(at: time) {
            guard let slot = self.slot(of: id), self.slots[slot]?.bucket == bucket,
                let dueAt = self.slots[slot]?.dueAt
            else { continue }
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
