public import ChatModel

/// The loops that subscribe to a conversation: usually one, which needs no allocation.
public struct SubscriberLoops: Sendable {
    public struct SubscribedLoop: Sendable {
        public let loop: LoopID
        /// The slot of the conversation's feed in that loop's table.
        public var feedSlot: UInt32
        /// The newest revision, stored or not, when the loop last asked for the state of the
        /// conversation.
        public var attachedAtRevision: Revision
        /// The last of the loop's sends that was accepted in order.
        fileprivate(set) var lastSend: UInt64 = 0
    }

    private var first: SubscribedLoop?
    private var others: [SubscribedLoop] = []
    /// The last accepted sends of loops that do not subscribe, or not yet: after a change of owners
    /// a loop may send before it attaches.
    private var unsubscribedSenders: [LoopID: UInt64] = [:]

    init() {}

    public var isEmpty: Bool { self.first == nil }
    public var count: Int { self.first == nil ? 0 : self.others.count + 1 }

    public fileprivate(set) subscript(index: Int) -> SubscribedLoop {
        get { index == 0 ? self.first! : self.others[index - 1] }
        _modify {
            if index == 0 { yield &self.first! } else { yield &self.others[index - 1] }
        }
    }

    public var all: [SubscribedLoop] { self.first.map { [$0] + self.others } ?? [] }

    private func index(of loop: LoopID) -> Int? {
        if self.first?.loop == loop { return 0 }
        return self.others.firstIndex { $0.loop == loop }.map { $0 + 1 }
    }

    public func contains(_ loop: LoopID) -> Bool { self.index(of: loop) != nil }

    /// The slot of the conversation's feed in the loop's table; nil if the loop does not subscribe.
    public func feedSlot(of loop: LoopID) -> UInt32? {
        self.index(of: loop).map { self[$0].feedSlot }
    }

    mutating func insert(_ loop: LoopID, feedSlot: UInt32, attachedAtRevision revision: Revision) {
        var subscribed = SubscribedLoop(
            loop: loop, feedSlot: feedSlot, attachedAtRevision: revision)
        if let index = self.index(of: loop) {
            subscribed.lastSend = self[index].lastSend
            self[index] = subscribed
            return
        }
        subscribed.lastSend = self.removeUnsubscribedSender(loop)
        if self.first == nil { self.first = subscribed } else { self.others.append(subscribed) }
    }

    private mutating func removeUnsubscribedSender(_ loop: LoopID) -> UInt64 {
        self.unsubscribedSenders.isEmpty
            ? 0 : self.unsubscribedSenders.removeValue(forKey: loop) ?? 0
    }

    /// Whether a send is next in order: the send that it names was accepted, or it names none.
    mutating func accepts(_ order: SendOrder, from loop: LoopID) -> Bool {
        // On the path of every send: the subscript would cost an allocation.
        if self.first?.loop == loop { return self.first!.lastSend.accepts(order) }
        for index in self.others.indices where self.others[index].loop == loop {
            return self.others[index].lastSend.accepts(order)
        }
        return self.unsubscribedSenders[loop, default: 0].accepts(order)
    }

    /// The last accepted sends, of this loop or of all, have been abandoned. The next send must be
    /// one that names none.
    mutating func resetSendOrder(of loop: LoopID? = nil) {
        if loop == nil || self.first?.loop == loop { self.first?.lastSend = 0 }
        for index in self.others.indices where loop == nil || self.others[index].loop == loop {
            self.others[index].lastSend = 0
        }
        if let loop { self.unsubscribedSenders[loop] = nil } else { self.unsubscribedSenders = [:] }
    }

    mutating func remove(_ loop: LoopID) {
        if self.first?.loop == loop {
            self.first = self.others.popLast()
        } else {
            self.others.removeAll { $0.loop == loop }
        }
    }
}

extension UInt64 {
    /// On the number of the last accepted send: whether this send may follow it.
    fileprivate mutating func accepts(_ order: SendOrder) -> Bool {
        guard order.after <= self else { return false }
        self = Swift.max(self, order.number)
        return true
    }
}
