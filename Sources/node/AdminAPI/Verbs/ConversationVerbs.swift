internal import Bytes
internal import ChatCore
internal import ChatEngine
internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// `confab conversations` and `confab conversation ID`.
struct ConversationVerbs: VerbGroup {
    private static let list = NodeTopic("conversations", isReading: true)
    private static let one = NodeTopic("conversation", isReading: true)

    let context: AdminContext

    var handlers: [String: AdminHandler] {
        ["conversations": self.conversations, "conversation": self.conversation]
    }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [Self.list: self.localConversations, Self.one: self.localConversation]
    }

    // MARK: On each node

    /// The first rows of the conversations that this node owns and has in memory.
    func localConversations(_ gateway: Gateway, _ arguments: JSONTree) async -> JSONTree? {
        guard let request = ListRequest(arguments, columns: ConversationRow.columns) else {
            return nil
        }
        let name = self.context.record.name
        return await self.context.localList(request, of: gateway) { loop, rows, deadline in
            var (start, inboxes): (Int?, Int) = (0, 0)
            while let slot = start {
                let left = deadline - .now
                guard left > .zero,
                    let slice = await gateway.ownedConversations(
                        from: slot, of: loop, within: left)
                else { return (false, inboxes) }
                for conversation in slice.conversations {
                    let row = ConversationRow(
                        key: conversation.key, summary: conversation.summary, owner: name)
                    rows.offer(
                        RowPosition(
                            RowPosition.Value(row.value(request.order.column)), id: row.rankingID),
                        row.row)
                }
                inboxes += slice.inboxCount
                start = slice.next
            }
            return (true, inboxes)
        }
    }

    /// This node's knowledge of a conversation: as its owner, and its connections.
    func localConversation(_ gateway: Gateway, _ arguments: JSONTree) async -> JSONTree? {
        guard let key = ConversationKey(arguments),
            let limit = arguments["members"]?.integerValue, OperatorVerb.memberLimits ~= limit,
            let subscribers = await gateway.subscriberCount(of: key, within: Self.localTimeout),
            let found = await gateway.conversation(
                key, memberLimit: limit, within: Self.localTimeout)
        else { return nil }
        let peers = await self.context.link?.clusterStatus().peers ?? []
        let own = self.context.record
        func name(_ node: UInt64) -> String {
            node == own.incarnation ? own.name : peers.name(of: node)
        }
        return .object(
            [.init("connections", .integer(subscribers))] + (found?.members(naming: name) ?? []))
    }

    // MARK: On the node that was asked

    func conversations(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let request = ListRequest(request)
        let snapshot = try await self.context.snapshot()
        let list = await self.context.mergedList(
            Self.list, request, of: snapshot.peers, in: snapshot
        ) { row in
            let key = ConversationKey(
                tenant: ByteString(row["tenant"]?.stringValue ?? ""),
                id: ByteString(row["id"]?.stringValue ?? ""))
            return RowPosition(
                RowPosition.Value(row[request.order.column]),
                id: ConversationRow.rankingID(of: key))
        }
        return .document(
            [.init("conversations", .array(list.rows)), .init("inboxes", .integer(list.others))]
                + list.counts)
    }

    /// Everything about one conversation. The owner has the newest state; if the conversation is
    /// not in memory, or the owner does not answer, the store has it.
    func conversation(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        let limit = request.number("members") ?? OperatorVerb.defaultRowLimit
        let snapshot = try await self.context.snapshot()
        let shard = Shard.of(key)
        let owner = snapshot.view.owner(of: shard)
        let replies = await self.context.query(
            Self.one, key.arguments + [.init("members", .integer(limit))], of: snapshot.peers,
            in: snapshot)
        let reply = replies.byNode[owner.incarnation]
        let isInMemory = reply.map { $0["record"] != nil }
        let state: JSONTree
        if let reply, isInMemory == true {
            state = reply
        } else {
            // Without the owner's answer, this node does not know which members are present.
            state = try await self.storedConversation(
                key, memberLimit: limit, isOwnerSilent: reply == nil)
        }
        var members: [JSONTree.ObjectMember] =
            key.arguments + [
                .init("shard", .integer(shard)),
                .init("owner", .string(snapshot.name(of: owner.incarnation))),
                .init("loop", .integer(owner.loop)),
                .init("in_memory", isInMemory.map { .bool($0) } ?? .null),
            ]
        members += state["record"]?.members ?? []
        members += (state.members ?? []).filter { !["record", "connections"].contains($0.name) }
        let presence: [JSONTree] = snapshot.peers.compactMap { peer in
            guard peer.evictedFor == nil else { return nil }
            return [
                "node": .string(peer.name),
                "connections": replies.byNode[peer.incarnation]?["connections"] ?? .null,
            ]
        }
        members.append(.init("presence", .array(presence)))
        let bans = try? await self.context.activeBans {
            $0.tenant == key.tenant && $0.conversation == key.id
        }
        members.append(.init("bans", bans.map { .array($0) } ?? .null))
        return .document(members + replies.counts)
    }

    /// A conversation as the store has it, in the form of an owner's reply.
    private func storedConversation(
        _ key: ConversationKey, memberLimit: Int, isOwnerSilent: Bool
    ) async throws(HTTPError) -> JSONTree {
        let loaded = try await self.context.load(key)
        return [
            "record": loaded.record.tree, "updated": .string(loaded.record.updatedAt.text),
            "head": .integer(loaded.head), "oldest": .integer(loaded.oldest),
            "revision": .integer(loaded.revision),
            "pinned_count": .integer(loaded.pins.count),
            "unstored": isOwnerSilent ? .null : 0,
            "member_count": .integer(loaded.currentMembers.count),
            "present": isOwnerSilent ? .null : 0, "msg_s": isOwnerSilent ? .null : 0,
            "members": .array(
                loaded.currentMembers.prefix(memberLimit).map {
                    $0.tree(nodes: isOwnerSilent ? nil : [])
                }),
        ]
    }
}
