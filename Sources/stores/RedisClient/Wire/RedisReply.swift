/// A reply in the reader's storage, valid only during the call that passes it.
///
/// A view instead of a value, so that a reply costs no allocation however many elements it has.
/// Code that keeps a part must copy it.
public struct RedisReply {
    /// The types of RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/). Null
    /// arrays and null strings are the same here.
    public enum Kind: UInt8, Sendable { case status, error, integer, string, array, null }

    let nodes: UnsafePointer<ReplyNode>
    let text: UnsafeRawPointer
    let index: Int

    @inline(__always)
    init(nodes: UnsafePointer<ReplyNode>, text: UnsafeRawPointer, index: Int = 0) {
        self.nodes = nodes
        self.text = text
        self.index = index
    }

    @inline(__always)
    private var node: ReplyNode { self.nodes[self.index] }

    public var kind: Kind { self.node.kind }
    public var isNull: Bool { self.kind == .null }

    /// An integer's value, or the number in a text, because Redis sends most numbers as texts; nil
    /// otherwise.
    public var integer: Int64? {
        switch self.kind {
        case .integer: self.node.number
        case .string, .status: Self.decimal(self.bytes)
        case .error, .array, .null: nil
        }
    }

    /// The bytes of a string, a status or an error; empty otherwise.
    public var bytes: UnsafeRawBufferPointer {
        switch self.kind {
        case .string, .status, .error:
            UnsafeRawBufferPointer(
                start: self.text + Int(self.node.number), count: Int(self.node.byteCount))
        case .integer, .array, .null:
            UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    /// The bytes as text; invalid UTF-8 is replaced.
    public var string: String { String(decoding: self.bytes, as: UTF8.self) }

    /// Whether it is a string or a status of exactly these bytes, such as `OK`.
    public func isText(_ text: StaticString) -> Bool {
        let bytes = self.bytes
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        return (self.kind == .string || self.kind == .status) && bytes.count == expected.count
            && bytes.elementsEqual(expected)
    }

    /// An array's elements, in order; none otherwise.
    public var elements: Elements {
        Elements(parent: self)
    }

    /// The number of an array's elements; 0 otherwise.
    public var count: Int { self.kind == .array ? Int(self.node.number) : 0 }

    /// The element at `index`, or nil. It walks over all earlier elements, so use it only for the
    /// first few.
    public subscript(index: Int) -> RedisReply? {
        guard index >= 0 else { return nil }
        var elements = self.elements.makeIterator()
        for _ in 0..<index where elements.next() == nil { return nil }
        return elements.next()
    }

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

    /// Digits with an optional minus sign; nil otherwise and beyond 64 bits.
    private static func decimal(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = bytes.first == UInt8(ascii: "-")
        let digits = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(isNegative ? 1 : 0))
        guard !digits.isEmpty, digits.count < 20 else { return nil }
        var number: Int64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            let (tenfold, hasOverflown) = number.multipliedReportingOverflow(by: 10)
            // Counts downwards, because the smallest number has no positive counterpart.
            let (sum, isBeyond) = tenfold.subtractingReportingOverflow(Int64(digit - 0x30))
            guard !hasOverflown, !isBeyond else { return nil }
            number = sum
        }
        if isNegative { return number }
        return number == .min ? nil : -number
    }
}
