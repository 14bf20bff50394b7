internal import ChatModel
internal import Cluster
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// `confab repair`.
struct RepairVerbs: VerbGroup {
    /// Lets the owner repair a conversation.
    private static let order = NodeTopic("repair")

    let context: AdminContext
    let checks: VerifyVerbs

    var handlers: [String: AdminHandler] { ["repair": self.repair] }

    var answers: [NodeTopic: NodeTopicAnswer] { [Self.order: self.repairLocally] }

    /// A repair that the owner has executed, or its refusal, as the owner reports it.
    private struct RepairReply {
        let repaired: [String]
        let failure: String?

        init(_ tree: JSONTree) {
            self.repaired = (tree["repaired"]?.elements ?? []).compactMap(\.stringValue)
            self.failure = tree["failure"]?.stringValue
        }
    }

    private static let lossNote = """
        The stored messages or records that the other faults concern are lost or damaged; only a \
        backup has them.
        """

    private func repair(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        // Also rejects a conversation that does not exist.
        if case .loaded(nil)? = await self.context.read(.load(key)) {
            throw .unknownConversation(key)
        }
        let before = try await self.checks.storedFaults(of: key)
        guard !request.isDryRun else {
            let remaining = try await self.remainingFaults(of: key, except: before.repairable)
            return Self.repairDocument(
                key, verb: "would repair", before.repairable, remaining: remaining)
        }
        let reply = try await self.repairByOwner(key)
        if let failure = reply.failure { throw HTTPError(.conflict, failure) }
        let remaining = try await self.remainingFaults(of: key, except: [])
        self.context.logger.info(
            "conversation repaired by operator",
            [
                "conversation": .text(key.description), "faults": LogValue(reply.repaired.count),
                "remaining": LogValue(remaining.count),
            ])
        if !reply.repaired.isEmpty {
            let repaired = OperatorText.count(reply.repaired.count, "fault")
            let verb = remaining.count == 1 ? "remains" : "remain"
            self.context.record(
                "repair", request, detail: "\(repaired) of \(key), \(remaining.count) \(verb)")
        }
        return Self.repairDocument(key, verb: "repaired", reply.repaired, remaining: remaining)
    }

    private func repairByOwner(_ key: ConversationKey) async throws(HTTPError) -> RepairReply {
        let snapshot = try await self.context.snapshot()
        let owner = snapshot.view.owner(of: key)
        let replies = await self.context.query(
            Self.order, key.arguments, of: snapshot.peers(owning: owner), in: snapshot)
        guard let reply = replies.byNode[owner.incarnation] else {
            throw HTTPError(
                .serviceUnavailable,
                """
                \(snapshot.name(of: owner.incarnation)), the owner of \(key.id), does not answer. \
                The repair may be done; repeat it.
                """)
        }
        return RepairReply(reply)
    }

    /// Executes a repair that this node owns.
    private func repairLocally(_ gateway: Gateway, _ arguments: JSONTree) async -> JSONTree? {
        guard let key = ConversationKey(arguments) else { return nil }
        switch await gateway.repair(key, within: Self.localTimeout) {
        case .examined(let faults)?:
            return ["repaired": .array(faults.repairable.map { .string($0) })]
        case .failed(let failure)?: return ["failure": .string(failure.description)]
        default:
            return ["failure": "The owner could not claim the conversation in time; repeat it."]
        }
    }

    private func remainingFaults(of key: ConversationKey, except repairable: [String])
        async throws(HTTPError) -> [String]
    {
        do throws(HTTPError) {
            let result = try await self.checks.verify(key, comparesWithOwner: repairable.isEmpty)
            let faults = (result["faults"]?.elements ?? []).compactMap(\.stringValue)
            return faults.filter { !repairable.contains($0) }
        } catch {
            guard error.status == .conflict else { throw error }
            return [error.message]
        }
    }

    private static func repairDocument(
        _ key: ConversationKey, verb: String, _ repaired: [String], remaining: [String]
    ) -> JSONTree {
        var summary = "\(verb) \(OperatorText.count(repaired.count, "fault")) of \(key.id)"
        if repaired.isEmpty {
            summary = "\(key.id) has no faults\(remaining.isEmpty ? "" : " to repair")"
        }
        if !remaining.isEmpty {
            summary += "; \(OperatorText.count(remaining.count, "fault")) cannot be repaired"
        }
        return .document(
            [.init("summary", .string(summary))] + key.arguments + [
                .init("complete", .bool(remaining.isEmpty)),
                .init("repaired", .array(repaired.map { .string($0) })),
                .init("remaining", .array(remaining.map { .string($0) })),
                .init("note", remaining.isEmpty ? .null : .string(self.lossNote)),
            ])
    }
}
