import ChatCore
import ChatModel

/// A loop's pending requests to owners.
///
/// A request is retried under the same number and client message id until it is answered or times
/// out, because the owner may have crashed with it.
struct OwnerRequests: Sendable {
    struct OwnerRequest: Sendable {
        let conversation: ConversationKey
        let input: ConversationInput
        var owner: LoopID
        /// The conversation's feed on this loop, if there is one.
        let feed: FeedID?
        /// The requester's id of the request; nil for the loop's own requests.
        let context: RequestContextID?
        let deadline: Int64
        var retryAt: Int64
        var attempts: Int32 = 1
        /// The last attempt was sent, and no answer says that it changed nothing.
        var isOutstanding = true
        /// An earlier attempt may have changed something, or may still do so.
        var isInDoubt = false
        /// The requester is gone; the answer only ends the request.
        var isCancelled = false
        /// The newest message that the feed had delivered when the request was made.
        let deliveredThrough: SequenceNumber
        /// Its current bucket in the retry wheel; entries in other buckets are outdated.
        var bucket: UInt8 = 0
        /// The owner's answer, while the feed has not yet delivered the messages before it.
        var deferredAnswer: ChatAnswer?

        var dueAt: Int64 { min(self.retryAt, self.deadline) }
    }

    private var slots: [OwnerRequest?] = []
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    private var retryWheel = RetryWheel()
    private var sendQueues = SendQueues()
    private(set) var count = 0

    /// Inserts a request. If the earlier sends of its feed are backed off, a send waits with them
    /// and must not be sent now.
    mutating func insert(_ request: consuming OwnerRequest) -> RequestID {
        let slot: UInt32
        if let reused = self.free.popLast() {
            slot = reused
        } else {
            slot = UInt32(self.slots.count)
            self.slots.append(nil)
            self.generations.append(0)
        }
        self.generations[Int(slot)] &+= 1
        // 0 means that no answer is needed.
        if self.generations[Int(slot)] == 0 { self.generations[Int(slot)] = 1 }
        if request.input.isSend, let feed = request.feed,
            let time = self.sendQueues.append(Int(slot), to: feed.slot)
        {
            request.retryAt = time
            request.attempts = 0
        }
        // It has not been sent yet.
        if request.attempts == 0 { request.isOutstanding = false }
        self.slots[Int(slot)] = consume request
        self.count += 1
        let id = self.id(of: Int(slot))
        self.schedule(id)
        return id
    }

    // MARK: Order

    /// The feed has closed: its sends have no order any more.
    mutating func removeQueue(of feed: UInt32) { self.sendQueues.removeAll(of: feed) }

    /// The position of a send and of its predecessor; `.none` for a request without an order.
    func sendOrder(of id: RequestID) -> SendOrder {
        self.slot(of: id).map { self.sendQueues.order(of: $0) } ?? .none
    }

    /// Whether it has not been sent because earlier sends are backed off.
    func isBackedOff(_ id: RequestID) -> Bool {
        self.slot(of: id).flatMap { self.slots[$0]?.attempts } == 0
    }

    /// Backs off a temporarily refused request until this time. The sends before it are backed off
    /// too, because the owner may be missing one of them, and later sends wait for them.
    mutating func backOff(_ id: RequestID, until time: Int64, at now: Int64) {
        guard let slot = self.slot(of: id) else { return }
        guard let until = self.sendQueues.backOff(slot, until: time, at: now) else {
            return self.postpone(id, until: time)
        }
        var next = Optional(slot)
        // If one send is backed off already, all earlier ones are.
        while let slot = next, self.slots[slot]!.retryAt != until {
            self.postpone(self.id(of: slot), until: until)
            next = self.sendQueues.predecessor(of: slot)
        }
    }

    private func id(of slot: Int) -> RequestID {
        RequestID(rawValue: UInt64(self.generations[slot]) << 32 | UInt64(slot))
    }

    private func slot(of id: RequestID) -> Int? {
        let slot = Int(id.rawValue & 0xFFFF_FFFF)
        guard slot < self.slots.count, self.generations[slot] == UInt32(id.rawValue >> 32),
            self.slots[slot] != nil
        else { return nil }
        return slot
    }

    subscript(id: RequestID) -> OwnerRequest? {
        self.slot(of: id).flatMap { self.slots[$0] }
    }

    /// All pending requests; sends in their order.
    var all: [RequestID] {
        self.inOrder(self.slots.indices.lazy.filter { self.slots[$0] != nil }.map(self.id))
    }

    private func inOrder(_ requests: [RequestID]) -> [RequestID] {
        let ordered = requests.enumerated().map {
            (order: self.sendOrder(of: $1).number, index: $0, id: $1)
        }
        return ordered.sorted { ($0.order, $0.index) < ($1.order, $1.index) }.map(\.id)
    }

    /// The next attempt goes to another owner.
    mutating func redirect(_ id: RequestID, to owner: LoopID) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]!.owner = owner
    }

    mutating func remove(_ id: RequestID) -> OwnerRequest? {
        guard let slot = self.slot(of: id) else { return nil }
        self.sendQueues.remove(slot)
        self.free.append(UInt32(slot))
        self.count -= 1
        var request: OwnerRequest?
        swap(&request, &self.slots[slot])
        return request
    }

    /// Retries the request at this time, unless it times out first.
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

    /// The owner answered the last attempt without executing it.
    ///
    /// - Parameter isInDoubt: the owner does not know whether it was executed.
    mutating func attemptFailed(_ id: RequestID, isInDoubt: Bool = false) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]!.isOutstanding = false
        if isInDoubt { self.slots[slot]!.isInDoubt = true }
    }

    /// Defers the owner's answer until the feed has delivered what comes before it. The request is
    /// not retried.
    mutating func deferAnswer(to id: RequestID, _ answer: ChatAnswer) {
        guard let slot = self.slot(of: id) else { return }
        self.sendQueues.remove(slot)
        self.slots[slot]?.deferredAnswer = answer
    }

    mutating func cancel(_ id: RequestID) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]?.isCancelled = true
    }

    /// The requests that are due for a retry or have timed out; sends in their order.
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
            // It can be in this bucket twice, if two refusals postponed it to the same tenth of a
            // second.
            self.slots[slot]?.bucket = .max
            due.append(id)
        }
        return self.inOrder(due)
    }
}
