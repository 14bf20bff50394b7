/// What Redis answered, as it lies in the reader's storage: good for as long as the call lasts that hands it over.
///
/// A view and not a value, so that a reply costs no allocation however many elements it has. Whoever keeps something copies it.
public struct RedisReply {
    /// What RESP2 has (https://redis.io/docs/latest/develop/reference/protocol-spec/). Null arrays and null strings are the same here.
    public enum Kind: UInt8, Sendable { case status, error, integer, string, array, null }

    let nodes: UnsafePointer<ReplyNode>
    let text: UnsafeRawPointer
    let index: Int

    @inline(__always)
    init(nodes: UnsafePointer<ReplyNode>, text: UnsafeRawPointer, index place: Int = 0) {
        self.nodes = nodes
        self.text = text
        self.index = place
    }

    @inline(__always)
    private var node: ReplyNode { self.nodes[self.index] }

    public var kind: Kind { self.node.kind }
    public var isNull: Bool { self.kind == .null }

    /// An integer's value, or the number that a text is (Redis gives most numbers so); nil for anything else.
    public var integer: Int64? {
        switch self.kind {
        case .integer: self.node.number
        case .string, .status: Self.decimal(self.bytes)
        case .error, .array, .null: nil
        }
    }

    /// The bytes of a string, a status or an error; none for anything else.
    public var bytes: UnsafeRawBufferPointer {
        switch self.kind {
        case .string, .status, .error:
            UnsafeRawBufferPointer(
                start: self.text + Int(self.node.number), count: Int(self.node.byteCount))
        case .integer, .array, .null:
            UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    /// The same as text; what is no UTF-8 is replaced.
    public var string: String { String(decoding: self.bytes, as: UTF8.self) }

    /// Whether it is a string or a status of exactly these bytes: `OK`.
    public func isText(_ text: StaticString) -> Bool {
        let bytes = self.bytes
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        return (self.kind == .string || self.kind == .status) && bytes.count == expected.count
            && bytes.elementsEqual(expected)
    }

    /// An array's elements, in order; none for anything else.
    public var elements: Elements {
        Elements(parent: self)
    }

    /// How many elements an array has; 0 for anything else.
    public var count: Int { self.kind == .array ? Int(self.node.number) : 0 }

    /// The element at `index`; nil where there is none. Those before it are passed one by one: for the first few.
    public subscript(index: Int) -> RedisReply? {
        guard index >= 0 else { return nil }
        var elements = self.elements.makeIterator()
        for _ in 0..<index where elements.next() == nil { return nil }
        return elements.next()
    }

    /// The elements of an array.
    public struct Elements: Sequence, IteratorProtocol {
        private var upcoming: RedisReply
        private var remaining: Int

        @inline(__always)
        fileprivate init(parent: RedisReply) {
            self.remaining = parent.count
            self.upcoming = RedisReply(
                nodes: parent.nodes, text: parent.text, index: parent.index + 1)
        }

        public var underestimatedCount: Int { self.remaining }

        public mutating func next() -> RedisReply? {
            guard self.remaining > 0 else { return nil }
            let element = self.upcoming
            self.remaining -= 1
            self.upcoming = RedisReply(
                nodes: element.nodes, text: element.text, index: Int(element.node.next))
            return element
        }
    }

    /// Digits with or without a minus; nil for anything else and what is beyond 64 bits.
    private static func decimal(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = bytes.first == UInt8(ascii: "-")
        let digits = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(isNegative ? 1 : 0))
        guard !digits.isEmpty, digits.count < 20 else { return nil }
        var number: Int64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            let (tenfold, hasOverflown) = number.multipliedReportingOverflow(by: 10)
            // Downwards, because the smallest number has no positive one.
            let (sum, isBeyond) = tenfold.subtractingReportingOverflow(Int64(digit - 0x30))
            guard !hasOverflown, !isBeyond else { return nil }
            number = sum
        }
        if isNegative { return number }
        return number == .min ? nil : -number
    }
}
