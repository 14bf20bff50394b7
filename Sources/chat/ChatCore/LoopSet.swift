public import ChatModel

/// A set of loops, such as those on which one user is present: rarely more than one, so the first
/// needs no allocation.
public struct LoopSet: Sendable {
    private var first: LoopID?
    private var others: [LoopID] = []

    public init() {}

    init(_ loop: LoopID) {
        self.first = loop
    }

    public var isEmpty: Bool { self.first == nil }

    public func contains(_ loop: LoopID) -> Bool {
        self.first == loop || self.others.contains(loop)
    }

    public mutating func insert(_ loop: LoopID) {
        if self.first == nil {
            self.first = loop
        } else if !self.contains(loop) {
            self.others.append(loop)
        }
    }

    mutating func remove(_ loop: LoopID) {
        if self.first == loop {
            self.first = self.others.popLast()
        } else {
            self.others.removeAll { $0 == loop }
        }
    }

    public func forEach(_ body: (LoopID) -> Void) {
        guard let first = self.first else { return }
        body(first)
        for loop in self.others { body(loop) }
    }
}
