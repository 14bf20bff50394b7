internal import Bytes
internal import ChatEngine
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The paths of messages, from the traces of all nodes.
struct TraceVerbs: VerbGroup {
    /// The steps of some messages on the node.
    private static let steps = NodeTopic("trace")
    /// The messages of a user on the node in the last seconds.
    private static let userMessages = NodeTopic("trace_user")

    let context: AdminContext

    var handlers: [String: AdminHandler] { ["trace": self.trace] }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [Self.steps: self.localTrace, Self.userMessages: self.localUserMessages]
    }

    /// The maximum number of messages in the answer about a user.
    private static let tracedMessageLimit = 100

    func trace(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        switch (request.number("message"), request.text("conversation"), request.text("user")) {
        case (let message?, _?, nil):
            try await self.trace(message, in: request.conversation)
        case (nil, nil, let user?):
            try await self.trace(
                user: user, tenant: request.text("tenant") ?? "default",
                seconds: request.seconds("for") ?? 60)
        default:
            throw .badRequest("Give either \"message\" and \"conversation\", or \"user\".")
        }
    }

    // MARK: One message

    private func trace(_ message: Int, in key: ConversationKey) async throws(HTTPError) -> JSONTree
    {
        let snapshot = try await self.context.snapshot()
        let replies = await self.context.query(
            Self.steps, Self.arguments([key: [message]]), of: snapshot.peers, in: snapshot)
        let nodes = Self.traces(replies, in: snapshot)
        let path = MessagePath(of: message, in: key.id.string, among: nodes)
        if path.places.isEmpty { throw await self.absence(of: message, in: key, replies) }
        let clocks = nodes.map { node -> JSONTree in
            [
                "node": .string(node.name),
                "ahead_of_redis": node.clockOffset.map { .milliseconds(Double($0) / 1000) }
                    ?? .null,
            ]
        }
        return .document(
            key.arguments + [
                .init("message", .integer(message)),
                .init("state", .string(path.state)),
                .init("accepted_on", (path.accepted?.node.name).map { .string($0) } ?? .null),
                .init("owner", (path.sequenced?.node.name).map { .string($0) } ?? .null),
                .init("steps", .array(path.rows { snapshot.name(of: $0) })),
                .init("clocks", .array(clocks)),
            ] + replies.counts)
    }

    /// Why no node has a step of the message.
    private func absence(of message: Int, in key: ConversationKey, _ replies: NodeReplies) async
        -> HTTPError
    {
        if replies.byNode.count < replies.queriedCount {
            return HTTPError(
                .serviceUnavailable,
                """
                The \(replies.byNode.count) of \(replies.queriedCount) nodes that answered have no \
                step of message \(message) of \(key.id).
                """
            )
        }
        if case .loaded(let loaded)? = await self.context.read(.load(key)) {
            guard let loaded else { return .unknownConversation(key) }
            guard message <= loaded.head else {
                return HTTPError(
                    .notFound,
                    "\(key.id) has no message \(message); its newest is \(loaded.head).")
            }
        }
        return HTTPError(
            .notFound,
            """
            No node has a step of message \(message) of \(key.id) any more: each loop keeps the \
            last \(self.context.limits.traceSteps) steps (--limit trace-steps).
            """
        )
    }

    private static func traces(_ replies: NodeReplies, in snapshot: ClusterSnapshot)
        -> [MessagePath.NodeTrace]
    {
        snapshot.peers.compactMap { peer in
            guard let answer = replies.byNode[peer.incarnation] else { return nil }
            return MessagePath.NodeTrace(
                incarnation: peer.incarnation, name: peer.name,
                clockOffset: answer["clock_offset"]?.integerValue.map(Int64.init),
                steps: TraceStep.list(answer))
        }
    }

    // MARK: The messages of a user

    private struct UserMessage {
        let conversation: String
        let message: Int?
        var isAuthor: Bool
        var at: Int64
    }

    /// - Parameter seconds: how far back to look.
    private func trace(user: String, tenant: String, seconds: Double) async throws(HTTPError)
        -> JSONTree
    {
        let snapshot = try await self.context.snapshot()
        let seen = await self.context.query(
            Self.userMessages,
            [
                .init("user", .string(user)), .init("tenant", .string(tenant)),
                .init("seconds", .number("\(seconds)")),
            ], of: snapshot.peers, in: snapshot)
        let userMessages = Self.merged(
            seen.byNode.values.flatMap { $0["messages"]?.elements ?? [] })
        var messages: [ConversationKey: Set<SequenceNumber>] = [:]
        for userMessage in userMessages {
            guard let number = userMessage.message else { continue }
            let key = ConversationKey(
                tenant: ByteString(tenant), id: ByteString(userMessage.conversation))
            messages[key, default: []].insert(number)
        }
        let replies =
            messages.isEmpty
            ? seen
            : await self.context.query(
                Self.steps, Self.arguments(messages), of: snapshot.peers, in: snapshot)
        let nodes = messages.isEmpty ? [] : Self.traces(replies, in: snapshot)
        let rows = userMessages.map { userMessage in
            MessagePath(
                of: userMessage.message ?? -1, in: userMessage.conversation, among: nodes
            ).summary(
                [
                    .init("conversation", .string(userMessage.conversation)),
                    .init("message", userMessage.message.map { .integer($0) } ?? .null),
                    .init("direction", userMessage.isAuthor ? "from" : "to"),
                ], seenAt: userMessage.at)
        }
        return .document(
            [
                .init("user", .string(user)), .init("tenant", .string(tenant)),
                .init("messages", .array(rows)), .init("steps", []),
            ] + replies.counts)
    }

    /// Each message once, oldest first. A message is from the user if one node says so.
    private static func merged(_ rows: [JSONTree]) -> [UserMessage] {
        var userMessages: [UserMessage] = []
        var index: [String: Int] = [:]
        for row in rows {
            guard let conversation = row["conversation"]?.stringValue,
                let at = row["at"]?.integerValue, let isAuthor = row["is_author"]?.boolValue
            else { continue }
            let message = row["message"]?.integerValue
            let id = message.map { "\($0) \(conversation)" }
            if let id, let known = index[id] {
                userMessages[known].isAuthor = userMessages[known].isAuthor || isAuthor
                userMessages[known].at = min(userMessages[known].at, Int64(at))
                continue
            }
            if let id { index[id] = userMessages.count }
            userMessages.append(
                UserMessage(
                    conversation: conversation, message: message, isAuthor: isAuthor,
                    at: Int64(at)))
        }
        return userMessages.sorted { $0.at < $1.at }.suffix(self.tracedMessageLimit)
    }

    // MARK: This node

    /// Answers `trace`: the steps on this node.
    private func localTrace(_ gateway: Gateway, _ query: JSONTree) async -> JSONTree? {
        var messages: [ConversationKey: Set<SequenceNumber>] = [:]
        for row in query["conversations"]?.elements ?? [] {
            guard let key = ConversationKey(row) else { return nil }
            messages[key] = Set(
                (row["messages"]?.elements ?? []).compactMap(\.integerValue))
        }
        let steps = await gateway.traceSteps(of: messages, within: Self.localTimeout)
        return [
            "clock_offset": self.context.link?.clockOffset.map { .integer(Int($0)) } ?? .null,
            "steps": .array(steps.map { TraceStep($0).tree }),
        ]
    }

    /// Answers `trace_user`: the messages of a user on this node.
    private func localUserMessages(_ gateway: Gateway, _ query: JSONTree) async -> JSONTree? {
        guard let user = query["user"]?.stringValue, let tenant = query["tenant"]?.stringValue,
            let seconds = query["seconds"]?.doubleValue
        else { return nil }
        let userMessages = await gateway.traceMessages(
            of: UserID(displayID: ByteString(user)), in: tenant, past: .seconds(seconds),
            limit: Self.tracedMessageLimit, within: Self.localTimeout)
        return [
            "messages": .array(
                userMessages.map { userMessage in
                    [
                        "conversation": (userMessage.conversation?.id.string).map { .string($0) }
                            ?? .null,
                        "message": userMessage.message.map { .integer($0) } ?? .null,
                        "is_author": .bool(userMessage.isAuthor),
                        "at": .integer(Int(userMessage.at)),
                    ]
                })
        ]
    }

    private static func arguments(_ messages: [ConversationKey: Set<SequenceNumber>])
        -> [JSONTree.ObjectMember]
    {
        let rows = messages.map { key, numbers in
            JSONTree.object(
                key.arguments + [
                    .init("messages", .array(numbers.sorted().map { .integer($0) }))
                ])
        }
        return [.init("conversations", .array(rows))]
    }
}
