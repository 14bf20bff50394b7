public import ChatModel

/// The loops that hear a conversation: mostly one, which is held without an allocation.
public struct SubscriberLoops: Sendable {
    public struct SubscribedLoop: Sendable {
        public let loop: LoopID
        /// Where that loop keeps its feed of the conversation.
        public var feedSlot: UInt32
        /// The newest change, be it stored or not, when the loop asked last where the conversation stands.
        public var attachedAtRevision: Revision
        /// The last of its sends that was taken in its turn.
        fileprivate(set) var lastSend: UInt64 = 0
    }

    private var first: SubscribedLoop?
    private var others: [SubscribedLoop] = []
    /// The last sends that were taken in their turn of loops that do not listen, or not yet: after a change of owners they may send before
    /// they are heard.
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

    /// Where this loop keeps its feed of the conversation; nil when it does not listen.
    public func feedSlot(of loop: LoopID) -> UInt32? {
        self.index(of: loop).map { self[$0].feedSlot }
    }

    mutating func insert(_ loop: LoopID, feedSlot place: UInt32, attachedAtRevision since: Revision)
    {
        var element = SubscribedLoop(loop: loop, feedSlot: place, attachedAtRevision: since)
        if let index = self.index(of: loop) {
            element.lastSend = self[index].lastSend
            self[index] = element
            return
        }
        element.lastSend = self.removeUnsubscribedSender(loop)
        if self.first == nil { self.first = element } else { self.others.append(element) }
    }

    private mutating func removeUnsubscribedSender(_ loop: LoopID) -> UInt64 {
        self.unsubscribedSenders.isEmpty
            ? 0 : self.unsubscribedSenders.removeValue(forKey: loop) ?? 0
    }

    /// Whether a send comes in its turn: the one that it names was taken, or it names none.
    mutating func accepts(_ turn: SendOrder, from loop: LoopID) -> Bool {
        // On the way of every send: through an index it would cost an allocation.
        if self.first?.loop == loop { return self.first!.lastSend.accepts(turn) }
        for place in self.others.indices where self.others[place].loop == loop {
            return self.others[place].lastSend.accepts(turn)
        }
        return self.unsubscribedSenders[loop, default: 0].accepts(turn)
    }

    /// What was taken last has been given up: of this loop's sends, or of all, the next has to be one that nothing is before.
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
    /// The last turn that was taken: whether this one may follow.
    fileprivate mutating func accepts(_ turn: SendOrder) -> Bool {
        guard turn.after <= self else { return false }
        self = Swift.max(self, turn.number)
        return true
    }
}
