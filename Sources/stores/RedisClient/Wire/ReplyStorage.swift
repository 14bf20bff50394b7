/// One value of a reply. An array's elements follow it.
struct ReplyNode {
    /// An integer's value, the offset of a text's bytes, or the number of an array's elements.
    var number: Int64
    var byteCount: UInt32
    /// The index behind this value and all its elements.
    var next: UInt32
    var kind: RedisReply.Kind
}

/// The values of one reply as a flat list, and the bytes of its texts.
///
/// hiredis' own tree allocates each value; this storage allocates nothing once it has grown. Texts
/// are copied, because hiredis moves its buffer when larger bytes arrive, even within a reply. It
/// uses raw memory instead of arrays, so that a `RedisReply` can point into it.
struct ReplyStorage {
    private(set) var nodes: UnsafeMutablePointer<ReplyNode>
    private(set) var text: UnsafeMutableRawPointer
    private(set) var nodeCount = 0
    private(set) var textByteCount = 0
    private var nodeCapacity = Self.retainedNodes
    private var textCapacity = Self.retainedBytes
    /// The reply exceeds the size limit.
    private(set) var exceedsLimit = false
    private let byteLimit: Int

    // The capacity that remains after a larger reply.
    private static let retainedNodes = 4096
    private static let retainedBytes = 256 << 10

    init(byteLimit: Int) {
        self.byteLimit = byteLimit
        self.nodes = .allocate(capacity: Self.retainedNodes)
        self.text = .allocate(byteCount: Self.retainedBytes, alignment: 1)
    }

    func deallocate() {
        self.nodes.deallocate()
        self.text.deallocate()
    }

    /// The size of the reply, values and texts together.
    var byteCount: Int { self.textByteCount + self.nodeCount * MemoryLayout<ReplyNode>.stride }

    /// Discards the reply.
    mutating func clear() {
        self.nodeCount = 0
        self.textByteCount = 0
        self.exceedsLimit = false
        if self.nodeCapacity > Self.retainedNodes || self.textCapacity > Self.retainedBytes {
            self.releaseCapacity()
        }
    }

    /// Appends a value without elements; nil beyond the limit.
    @inline(__always)
    mutating func append(_ kind: RedisReply.Kind, number: Int64 = 0) -> Int? {
        guard self.byteLimit - self.byteCount >= MemoryLayout<ReplyNode>.stride else {
            return self.refuse()
        }
        if self.nodeCount == self.nodeCapacity { self.growNodes() }
        let index = self.nodeCount
        (self.nodes + index).initialize(
            to: ReplyNode(number: number, byteCount: 0, next: UInt32(index + 1), kind: kind))
        self.nodeCount = index + 1
        return index
    }

    @inline(__always)
    mutating func append(_ kind: RedisReply.Kind, _ bytes: UnsafeRawBufferPointer) -> Int? {
        guard self.byteLimit - self.byteCount >= bytes.count else { return self.refuse() }
        if bytes.count > self.textCapacity - self.textByteCount { self.growText(by: bytes.count) }
        guard let index = self.append(kind, number: Int64(self.textByteCount)) else { return nil }
        self.nodes[index].byteCount = UInt32(bytes.count)
        if let start = bytes.baseAddress {
            (self.text + self.textByteCount).copyMemory(from: start, byteCount: bytes.count)
        }
        self.textByteCount += bytes.count
        return index
    }

    /// Ends an array where its last value ends.
    @inline(__always)
    func end(_ index: Int, with last: Int) {
        self.nodes[index].next = self.nodes[last].next
    }

    private mutating func refuse() -> Int? {
        self.exceedsLimit = true
        return nil
    }

    private mutating func growNodes() {
        let larger = UnsafeMutablePointer<ReplyNode>.allocate(capacity: self.nodeCapacity * 2)
        larger.moveInitialize(from: self.nodes, count: self.nodeCount)
        self.nodes.deallocate()
        self.nodes = larger
        self.nodeCapacity *= 2
    }

    private mutating func growText(by count: Int) {
        let capacity = max(self.textCapacity * 2, self.textByteCount + count)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 1)
        larger.copyMemory(from: self.text, byteCount: self.textByteCount)
        self.text.deallocate()
        self.text = larger
        self.textCapacity = capacity
    }

    private mutating func releaseCapacity() {
        self.deallocate()
        self.nodeCapacity = Self.retainedNodes
        self.textCapacity = Self.retainedBytes
        self.nodes = .allocate(capacity: Self.retainedNodes)
        self.text = .allocate(byteCount: Self.retainedBytes, alignment: 1)
    }
}
