import Bytes
import ChatCore
import ChatModel

/// A loop's pending requests to owners.
///
/// A request is retried under the same id and client message id until it is answered or times
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
        /// See `Message.acceptedAt`.
        var acceptedAt: Int64 = 0
        /// Its position among all requests of this loop.
        fileprivate(set) var creationNumber: UInt64 = 0
        /// The owner's answer, while the feed has not yet delivered the messages before it.
        var deferredAnswer: ChatAnswer?

        var dueAt: Int64 { min(self.retryAt, self.deadline) }
    }

    private var requests = SlotList<RequestID, OwnerRequest>(
        vacant: OwnerRequest(
            conversation: ConversationKey(tenant: "", id: ""), input: .detach,
            owner: LoopID(incarnation: 0, loop: 0), feed: nil, context: nil, deadline: 0,
            retryAt: 0, deliveredThrough: 0))
    /// When the requests are due. Nearly all are answered long before.
    private var timers = SlotTimers(millisecondsPerTick: 100)
    private var sendQueues = SendQueues()
    private var lastNumber: UInt64 = 0

    var count: Int { self.requests.count }

    /// Inserts a request. If the earlier sends of its feed are backed off, a send waits with them
    /// and must not be sent now.
    mutating func insert(_ request: consuming OwnerRequest) -> RequestID {
        self.lastNumber += 1
        request.creationNumber = self.lastNumber
        let id = self.requests.insert(request)
        if self.requests[id.slot].input.isSend, let feed = self.requests[id.slot].feed,
            let time = self.sendQueues.append(id.slot, to: feed.slot)
        {
            self.requests[id.slot].retryAt = time
            self.requests[id.slot].attempts = 0
        }
        // It has not been sent yet.
        if self.requests[id.slot].attempts == 0 { self.requests[id.slot].isOutstanding = false }
        self.schedule(id.slot)
        return id
    }

    // MARK: Order

    /// The feed has closed: its sends have no order any more.
    mutating func removeQueue(of feed: UInt32) { self.sendQueues.removeAll(of: feed) }

    /// The position of a send and of its predecessor; `.none` for a request without an order.
    func sendOrder(of id: RequestID) -> SendOrder {
        self.requests.contains(id) ? self.sendQueues.order(of: id.slot) : .none
    }

    /// See `Message.acceptedAt`; 0 for a request that is not a send.
    func acceptedAt(of id: RequestID) -> Int64 {
        self.requests.contains(id) ? self.requests[id.slot].acceptedAt : 0
    }

    /// Whether it has not been sent because earlier sends are backed off.
    func isBackedOff(_ id: RequestID) -> Bool {
        self.requests.contains(id) && self.requests[id.slot].attempts == 0
    }

    /// Backs off a temporarily refused request until this time. The sends before it are backed off
    /// too, because the owner may be missing one of them, and later sends wait for them.
    mutating func backOff(_ id: RequestID, until time: Int64, at now: Int64) {
        guard self.requests.contains(id) else { return }
        guard let until = self.sendQueues.backOff(id.slot, until: time, at: now) else {
            return self.postpone(id, until: time)
        }
        var next = Optional(id.slot)
        // If one send is backed off already, all earlier ones are.
        while let slot = next, self.requests[slot].retryAt != until {
            self.postpone(self.requests.key(of: slot), until: until)
            next = self.sendQueues.predecessor(of: slot)
        }
    }

    subscript(id: RequestID) -> OwnerRequest? {
        self.requests.contains(id) ? self.requests[id.slot] : nil
    }

    /// All pending requests, in the order of `inOrder`.
    var all: [RequestID] { self.inOrder(self.requests.occupiedSlots) }

    /// Requests without an order first, then sends in their order. The former are in the order in
    /// which they were made, because they can be sends of a closed feed.
    private func inOrder(_ slots: [UInt32]) -> [RequestID] {
        let ordered = slots.map {
            (
                order: self.sendQueues.order(of: $0).number,
                number: self.requests[$0].creationNumber, slot: $0
            )
        }
        return ordered.sorted { ($0.order, $0.number) < ($1.order, $1.number) }
            .map { self.requests.key(of: $0.slot) }
    }

    /// The next attempt goes to another owner.
    mutating func redirect(_ id: RequestID, to owner: LoopID) {
        if self.requests.contains(id) { self.requests[id.slot].owner = owner }
    }

    mutating func remove(_ id: RequestID) -> OwnerRequest? {
        guard self.requests.contains(id) else { return nil }
        self.sendQueues.remove(id.slot)
        return self.requests.remove(id.slot)
    }

    /// Retries the request at this time, unless it times out first.
    mutating func postpone(_ id: RequestID, until time: Int64, isAttempt: Bool = false) {
        guard self.requests.contains(id) else { return }
        self.requests[id.slot].retryAt = time
        if isAttempt {
            self.requests[id.slot].deferredAnswer = nil
            self.requests[id.slot].attempts += 1
            if self.requests[id.slot].isOutstanding { self.requests[id.slot].isInDoubt = true }
            self.requests[id.slot].isOutstanding = true
            self.sendQueues.resume(id.slot)
        }
        self.schedule(id.slot)
    }

    private mutating func schedule(_ slot: UInt32) {
        self.timers.schedule(slot, at: self.requests[slot].dueAt)
    }

    /// The owner answered the last attempt without executing it.
    ///
    /// - Parameter isInDoubt: the owner does not know whether it was executed.
    mutating func attemptFailed(_ id: RequestID, isInDoubt: Bool = false) {
        guard self.requests.contains(id) else { return }
        self.requests[id.slot].isOutstanding = false
        if isInDoubt { self.requests[id.slot].isInDoubt = true }
    }

    /// Defers the owner's answer until the feed has delivered what comes before it. The request is
    /// not retried.
    mutating func deferAnswer(to id: RequestID, _ answer: ChatAnswer) {
        guard self.requests.contains(id) else { return }
        self.sendQueues.remove(id.slot)
        self.requests[id.slot].deferredAnswer = answer
    }

    mutating func cancel(_ id: RequestID) {
        if self.requests.contains(id) { self.requests[id.slot].isCancelled = true }
    }

    /// The requests that are due for a retry or have timed out, in the order of `inOrder`. The
    /// caller postpones or removes each.
    mutating func takeDue(at time: Int64) -> [RequestID] {
        var due: [UInt32] = []
        for slot in self.timers.takeDue(at: time) where self.requests.isOccupied(slot) {
            if self.requests[slot].dueAt <= time {
                due.append(slot)
            } else {
                self.schedule(slot)
            }
        }
        return self.inOrder(due)
    }
}
