internal import Bytes
internal import ChatModel
internal import Cluster
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// `confab shards` and `confab owner`.
struct ShardVerbs: VerbGroup {
    /// The shards that the node owns.
    private static let shards = NodeTopic("shards", isReading: true)
    /// How far the owner has stored a conversation.
    static let storedPosition = NodeTopic("stored", isReading: true)
    /// Lets the owner claim the shard of a conversation, unless it has; the reply is the epoch.
    private static let claim = NodeTopic("claim")

    let context: AdminContext

    var handlers: [String: AdminHandler] { ["shards": self.shards, "owner": self.owner] }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [
            Self.shards: { gateway, _ in
                let shards = await gateway.shards(within: Self.localTimeout)
                return .array(shards.map(ShardRow.init).map(\.tree))
            },
            Self.storedPosition: { gateway, arguments in
                guard let key = ConversationKey(arguments) else { return nil }
                let stored = await gateway.storedPosition(of: key, within: Self.localTimeout)
                return stored.map { OwnerPosition(head: $0.head, revision: $0.revision).tree }
                    ?? .null
            },
            Self.claim: { gateway, arguments in
                guard let key = ConversationKey(arguments) else { return nil }
                let epoch = await gateway.claim(key, within: Self.localTimeout)
                return epoch.map { .integer($0) } ?? .null
            },
        ]
    }

    func shards(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.context.snapshot()
        let node = request.text("node")
        if let node { _ = try snapshot.peer(named: node) }
        let replies = await self.context.query(Self.shards, of: snapshot.peers, in: snapshot)
        var shardRows: [Int: ShardRow] = [:]
        for (node, answer) in replies.byNode {
            for row in (answer.elements ?? []).compactMap(ShardRow.init) {
                // If two nodes report the same shard, the view decides.
                if snapshot.view.owner(of: row.shard).incarnation == node {
                    shardRows[row.shard] = row
                }
            }
        }
        var rows: [JSONTree] = []
        for shard in 0..<Shard.count {
            let owner = snapshot.view.owner(of: shard)
            let name = snapshot.name(of: owner.incarnation)
            guard node == nil || name == node else { continue }
            // A node reports only shards of which it has conversations or the claim.
            let isKnown = replies.byNode[owner.incarnation] != nil
            rows.append([
                "shard": .integer(shard), "owner": .string(name), "loop": .integer(owner.loop),
                "epoch": shardRows[shard]?.epoch.map { .integer($0) } ?? .null,
                "since": shardRows[shard]?.since.map { .string($0.text) } ?? .null,
                "conversations": isKnown
                    ? .integer(shardRows[shard]?.conversations ?? 0) : .null,
                "msg_s": isKnown ? .number(shardRows[shard]?.messages ?? "0") : .null,
                "state": .string(snapshot.view.state(of: shard)),
            ])
        }
        return .document(
            [.init("view", .integer(snapshot.view.number)), .init("shards", .array(rows))]
                + replies.counts)
    }

    func owner(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        let snapshot = try await self.context.snapshot()
        if case .loaded(nil)? = await self.context.read(.load(key)) {
            throw .unknownConversation(key)
        }
        let shard = Shard.of(key)
        let owner = snapshot.view.owner(of: shard)
        let peer = snapshot.peers(owning: owner)
        async let holdings = self.context.query(Self.shards, of: peer, in: snapshot)
        let stored = OwnerPosition(
            await self.context.query(Self.storedPosition, key.arguments, of: peer, in: snapshot)
                .byNode[
                    owner.incarnation])
        let replies = await holdings
        let row = replies.byNode[owner.incarnation]?.elements?.lazy.compactMap(ShardRow.init)
            .first { $0.shard == shard }
        // After a failover the new owner claims a shard at its first use, which this is.
        var epoch = row?.epoch
        if epoch == nil, replies.byNode[owner.incarnation] != nil {
            epoch = await self.context.query(Self.claim, key.arguments, of: peer, in: snapshot)
                .byNode[
                    owner.incarnation]?.integerValue
        }
        let name = snapshot.name(of: owner.incarnation)
        return .document(
            key.arguments + [
                .init("shard", .integer(shard)),
                .init("owner", .string(name)), .init("loop", .integer(owner.loop)),
                .init("epoch", epoch.map { .integer($0) } ?? .null),
                .init("state", .string(snapshot.view.state(of: shard))),
                .init("head", stored.map { .integer($0.head) } ?? .null),
                .init("revision", stored.map { .integer($0.revision) } ?? .null),
                .init("view", .integer(snapshot.view.number)),
                .init("reason", .string(snapshot.view.reason(for: shard, naming: snapshot.name))),
            ] + replies.counts)
    }
}
