import Bytes
import ChatModel

/// The names of a cluster's keys in Redis: `p:{s<shard>}:<kind>:<tenant>:<conversation>`, where `p`
/// is the cluster's name.
///
/// All bans: `p:{c}:bans`.
///
/// Keys of users and tenants: `p:{u:<tenant>:<user>}:convs`, `p:{t:<tenant>}:rooms` and
/// `p:{t:<tenant>}:numbers`.
///
/// The braces are Redis Cluster's hash tag: all keys of a shard lie in one slot, so that one script
/// can use them. Ids are percent-encoded, so that no id contains a separator, a hash tag or a
/// pattern.
struct StoreKeys: Sendable {
    /// The cluster's name: 1 to 32 characters of `a-z 0-9 -`.
    let cluster: ByteString

    private func appendShard(_ shard: Int, to name: inout ByteBuffer) {
        name.append(text: self.cluster.string)
        name.append(":{s")
        name.append(decimal: shard)
        name.append(UInt8(ascii: "}"))
    }

    /// Appends the key of a shard's lease, a hash.
    func appendLease(of shard: Int, to name: inout ByteBuffer) {
        self.appendShard(shard, to: &name)
        name.append(":lease")
    }

    /// Appends the key of a shard's outbox, a stream.
    func appendOutbox(of shard: Int, to name: inout ByteBuffer) {
        self.appendShard(shard, to: &name)
        name.append(":outbox")
    }

    /// Appends the key of a shard's dead letters, a stream.
    func appendDeadLetters(of shard: Int, to name: inout ByteBuffer) {
        self.appendShard(shard, to: &name)
        name.append(":dead")
    }

    /// The keys of a conversation.
    enum ConversationPart: String, CaseIterable {
        /// The hash with its record and state. The scripts derive the other keys from this one.
        case conversation = ":conv:"
        case log = ":log:"
        case members = ":members:"
        case amendments = ":amend:"
        /// The replies of all threads, a sorted set (`StoredReferences.writeThreadEntry`).
        case threads = ":threads:"
        /// The pinned messages (`StoredPin`).
        case pins = ":pins:"
    }

    static let otherParts: [ConversationPart] = [.log, .members, .amendments, .threads, .pins]

    /// The keys of users and tenants. They have slots of their own, so in Redis Cluster no script
    /// can use them together with a conversation.
    enum IndexKey: Equatable {
        /// A user's conversations: a sorted set, by the time of the user's last membership write.
        case memberships(UserID, ByteString)
        /// A tenant's catalog: a sorted set, by the creation time.
        case catalog(ByteString)
        /// A tenant's numbers: a hash.
        case numbers(ByteString)
    }

    func append(_ indexKey: IndexKey, to name: inout ByteBuffer) {
        name.append(text: self.cluster.string)
        switch indexKey {
        case .memberships(let user, let tenant):
            name.append(":{u:")
            name.append(percentEncoding: tenant)
            name.append(UInt8(ascii: ":"))
            name.append(percentEncoding: user.storageKey)
            name.append("}:convs")
        case .catalog(let tenant):
            name.append(":{t:")
            name.append(percentEncoding: tenant)
            name.append("}:rooms")
        case .numbers(let tenant):
            name.append(":{t:")
            name.append(percentEncoding: tenant)
            name.append("}:numbers")
        }
    }

    func append(
        _ part: ConversationPart, of key: ConversationKey, in shard: Int, to name: inout ByteBuffer
    ) {
        self.appendShard(shard, to: &name)
        name.append(text: part.rawValue)
        name.append(percentEncoding: key.tenant)
        name.append(UInt8(ascii: ":"))
        name.append(percentEncoding: key.id)
    }
}
