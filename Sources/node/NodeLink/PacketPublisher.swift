import Bytes
import ChatEngine
import ChatModel
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
    static let tag = CommandTag(rawValue: .max)

    init(redisKeys names: ClusterRedisKeys, key: ClusterKey, client: RedisClient) {
        self.redisKeys = names
        self.key = key
        self.client = client
    }

    mutating func send(_ envelopes: [Envelope]) {
        self.pack(envelopes) { publisher, node in publisher.publish(to: node, tag: Self.tag) }
    }

    /// The same packets, as publications of the store.
    mutating func publications(of envelopes: [Envelope]) -> [Publication] {
        var publications: [Publication] = []
        self.pack(envelopes) { publisher, node in
            let payload = publisher.buffer.bytes
            publications.append(
                Publication(channel: publisher.mailbox(of: node).name, payload: payload))
            publisher.buffer.removeAll()
        }
        return publications
    }

    /// Packs the envelopes, one packet per node. `completed` receives each complete packet in the
    /// buffer and empties the buffer.
    private mutating func pack(
        _ envelopes: [Envelope], completed: (inout PacketPublisher, UInt64) -> Void
    ) {
        // There are few distinct receivers, often only one.
        var packedNodes: [UInt64] = []
        for index in envelopes.indices where !packedNodes.contains(envelopes[index].to.incarnation)
        {
            let node = envelopes[index].to.incarnation
            packedNodes.append(node)
            self.pack(envelopes, from: index, to: node, completed: completed)
        }
    }

    private mutating func pack(
        _ envelopes: [Envelope], from first: Int, to node: UInt64,
        completed: (inout PacketPublisher, UInt64) -> Void
    ) {
        self.buffer.removeAll()
        var writer = NodePacketWriter(
            from: envelopes[first].from.incarnation, to: node, in: &self.buffer)
        var isEmpty = true
        for index in first..<envelopes.count where envelopes[index].to.incarnation == node {
            if writer.append(envelopes[index], to: &self.buffer) {
                isEmpty = false
                continue
            }
            writer.seal(with: self.key, in: &self.buffer)
            completed(&self, node)
            writer = NodePacketWriter(
                from: envelopes[first].from.incarnation, to: node, in: &self.buffer)
            // An envelope that is too large for an empty packet is lost.
            isEmpty = !writer.append(envelopes[index], to: &self.buffer)
        }
        if isEmpty { return self.buffer.removeAll() }
        writer.seal(with: self.key, in: &self.buffer)
        completed(&self, node)
    }

    /// Publishes a packet without envelopes. It proves that messages arrive, and makes other nodes
    /// read the view.
    ///
    /// - Returns: whether it was sent; only then a reply with the tag follows.
    @discardableResult
    mutating func probe(from sender: UInt64, to node: UInt64, tag: CommandTag = Self.tag) -> Bool {
        self.buffer.removeAll()
        let writer = NodePacketWriter(from: sender, to: node, in: &self.buffer)
        writer.seal(with: self.key, in: &self.buffer)
        return self.publish(to: node, tag: tag)
    }

    /// Publishes a control message.
    ///
    /// - Returns: whether it was sent; only then a reply with the tag follows.
    @discardableResult
    mutating func send(_ message: ControlMessage, tag: CommandTag = Self.tag) -> Bool {
        self.buffer.removeAll()
        message.write(to: &self.buffer, key: self.key)
        return self.publish(to: message.to, tag: tag)
    }

    @discardableResult
    private mutating func publish(to node: UInt64, tag: CommandTag) -> Bool {
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
