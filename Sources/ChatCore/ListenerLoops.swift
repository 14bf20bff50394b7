public import ChatModel

/// The loops that hear a conversation: mostly one, which is held without an allocation.
public struct ListenerLoops: Sendable {
    public struct Element: Sendable {
        public let loop: OwnerID
        /// Where that loop keeps its feed of the conversation.
        public var place: UInt32
        /// The newest change, be it stored or not, when the loop asked last where the conversation stands.
        public var since: Revision
        /// The last of its sends that was taken in its turn.
        fileprivate(set) var turn: UInt64 = 0
    }

    private var first: Element?
    private var others: [Element] = []
    /// The last sends that were taken in their turn of loops that do not listen, or not yet: after a change of owners they may send before
    /// they are heard.
    private var strangers: [OwnerID: UInt64] = [:]

    init() {}

    public var isEmpty: Bool { self.first == nil }
    public var count: Int { self.first == nil ? 0 : self.others.count + 1 }

    public fileprivate(set) subscript(index: Int) -> Element {
        get { index == 0 ? self.first! : self.others[index - 1] }
        _modify {
            if index == 0 { yield &self.first! } else { yield &self.others[index - 1] }
        }
    }

    public var all: [Element] { self.first.map { [$0] + self.others } ?? [] }

    private func index(of loop: OwnerID) -> Int? {
        if self.first?.loop == loop { return 0 }
        return self.others.firstIndex { $0.loop == loop }.map { $0 + 1 }
    }

    public func contains(_ loop: OwnerID) -> Bool { self.index(of: loop) != nil }

    /// Where this loop keeps its feed of the conversation; nil when it does not listen.
    public func place(of loop: OwnerID) -> UInt32? { self.index(of: loop).map { self[$0].place } }

    mutating func insert(_ loop: OwnerID, place: UInt32, since: Revision) {
        var element = Element(loop: loop, place: place, since: since)
        if let index = self.index(of: loop) {
            element.turn = self[index].turn
            self[index] = element
            return
        }
        element.turn = self.takeStranger(loop)
        if self.first == nil { self.first = element } else { self.others.append(element) }
    }

    private mutating func takeStranger(_ loop: OwnerID) -> UInt64 {
        self.strangers.isEmpty ? 0 : self.strangers.removeValue(forKey: loop) ?? 0
    }

    /// Whether a send comes in its turn: the one that it names was taken, or it names none.
    mutating func takes(_ turn: Turn, of loop: OwnerID) -> Bool {
        // On the way of every send: through an index it would cost an allocation.
        if self.first?.loop == loop { return self.first!.turn.takes(turn) }
        for place in self.others.indices where self.others[place].loop == loop { return self.others[place].turn.takes(turn) }
        return self.strangers[loop, default: 0].takes(turn)
    }

    /// What was taken last has been given up: of this loop's sends, or of all, the next has to be one that nothing is before.
    mutating func forgetTurns(of loop: OwnerID? = nil) {
        if loop == nil || self.first?.loop == loop { self.first?.turn = 0 }
        for index in self.others.indices where loop == nil || self.others[index].loop == loop { self.others[index].turn = 0 }
        if let loop { self.strangers[loop] = nil } else { self.strangers = [:] }
    }

    mutating func remove(_ loop: OwnerID) {
        if self.first?.loop == loop {
            self.first = self.others.popLast()
        } else {
            self.others.removeAll { $0.loop == loop }
        }
    }
}

extension UInt64 {
    /// The last turn that was taken: whether this one may follow.
    fileprivate mutating func takes(_ turn: Turn) -> Bool {
        guard turn.after <= self else { return false }
        self = Swift.max(self, turn.number)
        return true
    }
}
