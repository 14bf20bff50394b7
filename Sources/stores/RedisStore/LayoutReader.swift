public import Bytes
public import ChatModel

/// The Redis keys of shards and conversations, and the format of their values, for readers other
/// than the store.
public struct LayoutReader: Sendable {
    private let keys: StoreKeys

    /// - Parameter cluster: the name of the cluster.
    public init(of cluster: String) {
        self.keys = StoreKeys(cluster: ByteString(cluster))
    }

    // MARK: Shards

    /// The field of a shard's lease with the last claim: epoch and owner.
    public static let leaseField: ByteString = "owner"

    /// The key of a shard's lease, a hash.
    public func leaseKey(of shard: Int) -> ByteString {
        Self.key { self.keys.appendLease(of: shard, to: &$0) }
    }

    /// Nil if no owner has written the text.
    ///
    /// - Returns: the epoch, and the owner as in `LoopID.description`.
    public static func parseLease(_ text: String) -> (epoch: Int, owner: String)? {
        let fields = text.split(separator: " ")
        guard fields.count == 2, let epoch = Int(fields[0]), epoch > 0 else { return nil }
        return (epoch, String(fields[1]))
    }

    // MARK: Conversations

    /// The field of a conversation's hash with its head and revision.
    public static let headField: ByteString = "at"

    /// The key of a conversation's hash.
    public func conversationKey(_ key: ConversationKey) -> ByteString {
        Self.key { self.keys.append(.conversation, of: key, in: Shard.of(key), to: &$0) }
    }

    /// The conversation of a key of `conversationKey`; nil for another key.
    public static func conversation(ofKey name: String) -> ConversationKey? {
        let mark = StoreKeys.ConversationPart.conversation.rawValue
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 5, ":\(parts[2]):" == mark,
            let tenant = PercentEncoding.decode(parts[3].utf8),
            let id = PercentEncoding.decode(parts[4].utf8), !id.isEmpty
        else { return nil }
        return ConversationKey(tenant: ByteString(tenant), id: ByteString(id))
    }

    /// Nil for a damaged value or another format.
    public static func parseHead(_ text: String) -> (head: Int, revision: Int)? {
        let fields = text.split(separator: " ")
        guard fields.count == 4, fields[0] == "1", let revision = Int(fields[1]),
            let head = Int(fields[2])
        else { return nil }
        return (head, revision)
    }

    /// The keys of a conversation's stream, and of its hash of amendments.
    public func messageKeys(of key: ConversationKey) -> (log: ByteString, amendments: ByteString) {
        let shard = Shard.of(key)
        return (
            Self.key { self.keys.append(.log, of: key, in: shard, to: &$0) },
            Self.key { self.keys.append(.amendments, of: key, in: shard, to: &$0) }
        )
    }

    /// A message. Nil if one of its parts is not what was stored.
    ///
    /// - Parameters:
    ///   - value: the first value of its entry in the stream.
    ///   - references: the second one, if there is one.
    ///   - amendment: its amendment, if there is one.
    public static func message(
        _ sequence: SequenceNumber, _ value: String, references: String?, amendment: String?
    ) -> Message? {
        guard
            var message = self.read(value, { StoredMessage.read($0, as: sequence) })
        else { return nil }
        if let references {
            guard let read = self.read(references, StoredReferences.read) else { return nil }
            message.body = message.body.with(read)
        }
        if let amendment {
            guard let read = self.read(amendment, { StoredAmendment($0) }) else { return nil }
            message = read.applied(to: message)
        }
        return message
    }

    private static func read<Value>(
        _ text: String, _ read: (UnsafeRawBufferPointer) -> Value?
    ) -> Value? {
        var text = text
        return text.withUTF8 { read(UnsafeRawBufferPointer($0)) }
    }

    private static func key(_ write: (inout ByteBuffer) -> Void) -> ByteString {
        var name = ByteBuffer()
        write(&name)
        return ByteString(name.text)
    }
}
