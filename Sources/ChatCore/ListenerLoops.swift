public import ChatModel

/// The loops that hear a conversation: mostly one, which is held without an allocation.
public struct ListenerLoops: Sendable {
    public struct Element: Sendable {
        public let loop: OwnerID
        /// Where that loop keeps its feed of the conversation.
        public var place: UInt32
        /// The newest change, be it stored or not, when the loop asked last where the conversation stands.
        public var since: Revision
    }

    private var first: Element?
    private var others: [Element] = []

    init() {}

    public var isEmpty: Bool { self.first == nil }
    public var count: Int { self.first == nil ? 0 : self.others.count + 1 }

    public subscript(index: Int) -> Element {
        index == 0 ? self.first! : self.others[index - 1]
    }

    public var all: [Element] { self.first.map { [$0] + self.others } ?? [] }

    public func contains(_ loop: OwnerID) -> Bool {
        self.place(of: loop) != nil
    }

    /// Where this loop keeps its feed of the conversation; nil when it does not listen.
    public func place(of loop: OwnerID) -> UInt32? {
        if self.first?.loop == loop { return self.first?.place }
        return self.others.first { $0.loop == loop }?.place
    }

    mutating func insert(_ loop: OwnerID, place: UInt32, since: Revision) {
        let element = Element(loop: loop, place: place, since: since)
        if self.first == nil || self.first?.loop == loop {
            self.first = element
        } else if let index = self.others.firstIndex(where: { $0.loop == loop }) {
            self.others[index] = element
        } else {
            self.others.append(element)
        }
    }

    mutating func remove(_ loop: OwnerID) {
        if self.first?.loop == loop {
            self.first = self.others.popLast()
        } else {
            self.others.removeAll { $0.loop == loop }
        }
    }
}
