/// The two highest of several cursors: enough to know the highest cursor of all holders but one.
public struct HighestCursors<Holder: Equatable & Sendable>: Sendable {
    private var first: (holder: Holder, cursor: SequenceNumber)?
    private var second = 0

    public init() {}

    public mutating func record(_ cursor: SequenceNumber, of holder: Holder) {
        if let first, first.cursor >= cursor {
            self.second = max(self.second, cursor)
        } else {
            self.second = self.first?.cursor ?? 0
            self.first = (holder, cursor)
        }
    }

    public func highest(excluding holder: Holder) -> SequenceNumber {
        self.first.map { $0.holder == holder ? self.second : $0.cursor } ?? 0
    }
}
