/// One value of a reply. An array's elements stand behind it.
struct ReplyNode {
    /// An integer's value, where the bytes of a text begin, or how many elements an array has.
    var number: Int64
    var byteCount: UInt32
    /// The place behind this value and all that is in it.
    var next: UInt32
    var kind: RedisReply.Kind
}

/// The values of one reply in a flat list, and the bytes of their texts one behind the other.
///
/// hiredis' own tree takes an allocation for each value; this takes none once there is room. The texts are copied, because hiredis
/// moves its buffer as soon as more arrives, even in the middle of a reply. By hand and not in arrays, so that a `RedisReply` can
/// point into it.
struct ReplyStorage {
    private(set) var nodes: UnsafeMutablePointer<ReplyNode>
    private(set) var text: UnsafeMutableRawPointer
    private(set) var nodeCount = 0
    private(set) var textByteCount = 0
    private var nodeCapacity = Self.retainedNodes
    private var textCapacity = Self.retainedBytes
    /// The reply has more than it may have.
    private(set) var exceedsLimit = false
    private let byteLimit: Int

    // What is kept when a larger reply has gone.
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

    /// What the reply takes, values and texts together.
    var byteCount: Int { self.textByteCount + self.nodeCount * MemoryLayout<ReplyNode>.stride }

    /// Forgets the reply.
    mutating func clear() {
        self.nodeCount = 0
        self.textByteCount = 0
        self.exceedsLimit = false
        if self.nodeCapacity > Self.retainedNodes || self.textCapacity > Self.retainedBytes {
            self.releaseCapacity()
        }
    }

    /// Puts a value without elements behind the others; nil when there are too many.
    @inline(__always)
    mutating func append(_ kind: RedisReply.Kind, number: Int64 = 0) -> Int? {
        guard self.byteLimit - self.byteCount >= MemoryLayout<ReplyNode>.stride else {
            return self.refuse()
        }
        if self.nodeCount == self.nodeCapacity { self.growNodes() }
        let place = self.nodeCount
        (self.nodes + place).initialize(
            to: ReplyNode(number: number, byteCount: 0, next: UInt32(place + 1), kind: kind))
        self.nodeCount = place + 1
        return place
    }

    @inline(__always)
    mutating func append(_ kind: RedisReply.Kind, _ bytes: UnsafeRawBufferPointer) -> Int? {
        guard self.byteLimit - self.byteCount >= bytes.count else { return self.refuse() }
        if bytes.count > self.textCapacity - self.textByteCount { self.growText(by: bytes.count) }
        guard let place = self.append(kind, number: Int64(self.textByteCount)) else { return nil }
        self.nodes[place].byteCount = UInt32(bytes.count)
        if let start = bytes.baseAddress {
            (self.text + self.textByteCount).copyMemory(from: start, byteCount: bytes.count)
        }
        self.textByteCount += bytes.count
        return place
    }

    /// The last value of an array has come: it ends where that one ends.
    @inline(__always)
    func end(_ place: Int, with last: Int) {
        self.nodes[place].next = self.nodes[last].next
    }

    private mutating func refuse() -> Int? {
        self.exceedsLimit = true
        return nil
    }

    private mutating func growNodes() {
        let more = UnsafeMutablePointer<ReplyNode>.allocate(capacity: self.nodeCapacity * 2)
        more.moveInitialize(from: self.nodes, count: self.nodeCount)
        self.nodes.deallocate()
        self.nodes = more
        self.nodeCapacity *= 2
    }

    private mutating func growText(by count: Int) {
        let capacity = max(self.textCapacity * 2, self.textByteCount + count)
        let more = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 1)
        more.copyMemory(from: self.text, byteCount: self.textByteCount)
        self.text.deallocate()
        self.text = more
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
