import Bytes
import ChatModel
import Cluster
import ClusterWire
import RedisClient

/// Publishes one loop's packets: one publish per receiving node and turn, over the loop's own
/// connection.
struct PacketPublisher {
    private let redisKeys: ClusterRedisKeys
    private let key: ClusterKey
    private let client: RedisClient
    private var mailboxes: [UInt64: (name: ByteString, slot: RedisSlot)] = [:]
    private var buffer = ByteBuffer(capacity: 4096)

    /// The reply to a publish is ignored, because the receiver notices lost packets.
    static let tag = UInt64.max

    init(redisKeys names: ClusterRedisKeys, key: ClusterKey, client: RedisClient) {
        self.redisKeys = names
        self.key = key
        self.client = client
    }

    mutating func send(_ envelopes: [Envelope]) {
        self.pack(envelopes) { outlet, node in outlet.publish(to: node, tag: Self.tag) }
    }

    /// The same packets, as publications of the store.
    mutating func publications(of envelopes: [Envelope]) -> [Publication] {
        var notices: [Publication] = []
        self.pack(envelopes) { outlet, node in
            let payload = outlet.buffer.bytes
            notices.append(Publication(channel: outlet.mailbox(of: node).name, payload: payload))
            outlet.buffer.removeAll()
        }
        return notices
    }

    /// Packs the envelopes, one packet per node. `done` receives each complete packet in the buffer
    /// and empties the buffer.
    private mutating func pack(
        _ envelopes: [Envelope], done: (inout PacketPublisher, UInt64) -> Void
    ) {
        // There are few distinct receivers, often only one.
        var packed: [UInt64] = []
        for place in envelopes.indices where !packed.contains(envelopes[place].to.incarnation) {
            let node = envelopes[place].to.incarnation
            packed.append(node)
            self.pack(envelopes, from: place, to: node, done: done)
        }
    }

    private mutating func pack(
        _ envelopes: [Envelope], from first: Int, to node: UInt64,
        done: (inout PacketPublisher, UInt64) -> Void
    ) {
        self.buffer.removeAll()
        var writer = NodePacketWriter(
            from: envelopes[first].from.incarnation, to: node, in: &self.buffer)
        var isEmpty = true
        for place in first..<envelopes.count where envelopes[place].to.incarnation == node {
            if writer.append(envelopes[place], to: &self.buffer) {
                isEmpty = false
                continue
            }
            writer.seal(with: self.key, in: &self.buffer)
            done(&self, node)
            writer = NodePacketWriter(
                from: envelopes[first].from.incarnation, to: node, in: &self.buffer)
            // An envelope that is too large for an empty packet is lost.
            isEmpty = !writer.append(envelopes[place], to: &self.buffer)
        }
        if isEmpty { return self.buffer.removeAll() }
        writer.seal(with: self.key, in: &self.buffer)
        done(&self, node)
    }

    /// Publishes a packet without envelopes. It proves that messages arrive, and makes other nodes
    /// read the view.
    mutating func probe(from me: UInt64, to node: UInt64, tag: UInt64 = Self.tag) {
        self.buffer.removeAll()
        let writer = NodePacketWriter(from: me, to: node, in: &self.buffer)
        writer.seal(with: self.key, in: &self.buffer)
        self.publish(to: node, tag: tag)
    }

    /// Publishes a control message.
    ///
    /// - Returns: whether it was sent; only then a reply with the tag follows.
    @discardableResult
    mutating func send(_ memo: ControlMessage, tag: UInt64 = Self.tag) -> Bool {
        self.buffer.removeAll()
        memo.write(to: &self.buffer, key: self.key)
        return self.publish(to: memo.to, tag: tag)
    }

    @discardableResult
    private mutating func publish(to node: UInt64, tag: UInt64) -> Bool {
        defer { self.buffer.removeAll() }
        let mailbox = self.mailbox(of: node)
        do throws(RedisError) {
            try self.client.publish(
                tag: tag, to: mailbox.name, slot: mailbox.slot, expectsReply: tag != Self.tag
            ) { $0.append(self.buffer) }
            return true
        } catch {
            // If Redis' send queue is full, the packet is lost.
            return false
        }
    }

    private mutating func mailbox(of node: UInt64) -> (name: ByteString, slot: RedisSlot) {
        if let known = self.mailboxes[node] { return known }
        // Nodes come and go during this node's lifetime.
        if self.mailboxes.count > 1000 { self.mailboxes = [:] }
        let name = self.redisKeys.mailbox(node)
        self.mailboxes[node] = (name, RedisSlot(key: name))
        return (name, RedisSlot(key: name))
    }
}
