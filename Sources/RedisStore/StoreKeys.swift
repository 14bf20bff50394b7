import Bytes
import ChatModel

/// The names under which a cluster keeps things in Redis: `p:{s<shard>}:<kind>:<tenant>:<conversation>`, where `p` is its name.
///
/// What belongs to users and tenants: `p:{u:<tenant>:<user>}:convs`, `p:{t:<tenant>}:rooms` and `p:{t:<tenant>}:numbers`.
///
/// The braces are Redis Cluster's hash tag: all keys of a shard lie in one slot, so that one script can have them. Ids are
/// percent-encoded, so that no id ends a part of a name, begins a tag, or is a pattern.
struct StoreKeys: Sendable {
    /// The cluster's name: 1 to 32 of `a-z 0-9 -`.
    let cluster: ByteString

    private func appendShard(_ shard: Int, to name: inout ByteBuffer) {
        name.append(text: self.cluster.string)
        name.append(":{s")
        name.append(decimal: shard)
        name.append(UInt8(ascii: "}"))
    }

    /// The hash that says who owns a shard.
    func appendLease(of shard: Int, to name: inout ByteBuffer) {
        self.appendShard(shard, to: &name)
        name.append(":lease")
    }

    /// What is kept of a conversation under keys of its own.
    enum ConversationPart: String, CaseIterable {
        /// The hash: what it is, and how far it is stored. The scripts make the names of the others from this one.
        case conversation = ":conv:"
        case log = ":log:"
        case members = ":members:"
        case amendments = ":amend:"
    }

    static let otherParts: [ConversationPart] = [.log, .members, .amendments]

    /// What is kept of a user, or of a tenant: in slots of their own, so that in Redis Cluster no script has it together with a conversation.
    enum IndexKey: Equatable {
        /// The sorted set of a user's conversations, by when each was last written there.
        case memberships(UserID, ByteString)
        /// The sorted set of a tenant's catalog, by when each conversation was made.
        case catalog(ByteString)
        /// The hash of a tenant's numbers.
        case numbers(ByteString)
    }

    func append(_ shelf: IndexKey, to name: inout ByteBuffer) {
        name.append(text: self.cluster.string)
        switch shelf {
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
