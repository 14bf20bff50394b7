/// A reproducible random number generator: SplitMix64 (Steele, Lea and Flood, 2014).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        self.state = seed
    }

    public mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number in the range. Not the standard library's function, whose algorithm may change.
    public mutating func number(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(self.next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    public mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int(self.number(Int64(range.lowerBound)...Int64(range.upperBound)))
    }

    public mutating func next(below bound: Int) -> Int {
        Int(self.next() % UInt64(bound))
    }

    /// True with a probability of `perMille` in a thousand.
    public mutating func happens(perMille: Int) -> Bool {
        self.next() % 1000 < UInt64(perMille)
    }

    public mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[Int(self.next() % UInt64(elements.count))]
    }
}
