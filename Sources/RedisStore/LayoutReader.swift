public import Bytes
public import ChatModel

/// What stands in Redis of shards and conversations, for somebody who reads it and is no store: where it stands, and what it says.
public struct LayoutReader: Sendable {
    private let keys: StoreKeys

    /// - Parameter cluster: its name.
    public init(of cluster: String) {
        self.keys = StoreKeys(cluster: ByteString(cluster))
    }

    // MARK: Shards

    /// The field of a shard's lease that says who has claimed it last, and under which epoch.
    public static let leaseField: ByteString = "owner"

    /// The hash that is a shard's lease.
    public func leaseKey(of shard: Int) -> ByteString {
        Self.key { self.keys.appendLease(of: shard, to: &$0) }
    }

    /// Nil for what no owner has left there.
    ///
    /// - Returns: the owner as `LoopID.description` has it.
    public static func parseLease(_ text: String) -> (epoch: Int, owner: String)? {
        let words = text.split(separator: " ")
        guard words.count == 2, let epoch = Int(words[0]), epoch > 0 else { return nil }
        return (epoch, String(words[1]))
    }

    // MARK: Conversations

    /// The field of a conversation's hash that says how far it is stored.
    public static let headField: ByteString = "at"

    /// The hash of a conversation.
    public func conversationKey(_ key: ConversationKey) -> ByteString {
        Self.key { self.keys.append(.conversation, of: key, in: Shard.of(key), to: &$0) }
    }

    /// Nil for what is damaged, or of another format.
    public static func parseHead(_ text: String) -> (head: Int, revision: Int)? {
        let words = text.split(separator: " ")
        guard words.count == 4, words[0] == "1", let revision = Int(words[1]),
            let head = Int(words[2])
        else { return nil }
        return (head, revision)
    }

    private static func key(_ write: (inout ByteBuffer) -> Void) -> ByteString {
        var name = ByteBuffer()
        write(&name)
        return ByteString(name.text)
    }
}
