internal import Bytes
internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// `confab verify --all` and `confab repair`.
extension ClusterAdmin {
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

    // MARK: All conversations

    /// Checks one part of all conversations.
    func verifyPage(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let after = request.text("after").map { ByteString($0) }
        let limit = request.number("limit") ?? 50
        let page: ConversationKeyPage
        switch await self.read(.conversations(after: after, limit: limit)) {
        case .conversations(let found)?: page = found
        case .failed(.invalidCursor)?:
            throw .badRequest("\"after\" must be the \"next\" of the page before.")
        case let answer: throw Self.failure(of: answer)
        }
        var rows: [JSONTree] = []
        var messages = 0
        for key in page.keys {
            let result: JSONTree
            do throws(HTTPError) {
                result = try await self.verify(key)
            } catch {
                // Deleted since the page was read.
                if error.status == .notFound { continue }
                guard error.status == .conflict else { throw error }
                rows.append(Self.faultyRow(key, repairable: 0, [.string(error.message)]))
                continue
            }
            messages += result["messages"]?.integerValue ?? 0
            guard result["complete"]?.boolValue == false else { continue }
            rows.append(
                Self.faultyRow(
                    key, repairable: result["repairable"]?.integerValue ?? 0,
                    result["faults"]?.elements ?? []))
        }
        return Self.document([
            .init("checked", .integer(page.keys.count)), .init("messages", .integer(messages)),
            .init("conversations", .array(rows)),
            .init("next", page.next.map { .string($0.string) } ?? .null),
        ])
    }

    private static func faultyRow(
        _ key: ConversationKey, repairable: Int, _ faults: [JSONTree]
    ) -> JSONTree {
        [
            "conversation": .string(key.id.string), "tenant": .string(key.tenant.string),
            "repairable": .integer(repairable), "faults": .array(faults),
        ]
    }

    /// The faults that reading the messages does not show.
    func storedFaults(of key: ConversationKey) async throws(HTTPError) -> StoredFaults {
        switch await self.read(.examine(key)) {
        case .examined(let faults)?: return faults
        // The state is too damaged to examine it.
        case .failed(let failure)? where failure.isRequestSpecific:
            return StoredFaults(unrepairable: [failure.description])
        case let answer: throw Self.failure(of: answer)
        }
    }

    // MARK: Repair

    func repair(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        // Also rejects a conversation that does not exist.
        if case .loaded(nil)? = await self.read(.load(key)) { throw Self.unknown(key) }
        let before = try await self.storedFaults(of: key)
        guard !request.isDryRun else {
            let remaining = try await self.remainingFaults(of: key, except: before.repairable)
            return Self.repairDocument(
                key, verb: "would repair", before.repairable, remaining: remaining)
        }
        let reply = try await self.repairByOwner(key)
        if let failure = reply.failure { throw HTTPError(.conflict, failure) }
        let remaining = try await self.remainingFaults(of: key, except: [])
        self.logger.info(
            "conversation repaired by operator",
            [
                "conversation": .text(key.description), "faults": LogValue(reply.repaired.count),
                "remaining": LogValue(remaining.count),
            ])
        if !reply.repaired.isEmpty {
            let repaired = OperatorText.count(reply.repaired.count, "fault")
            let verb = remaining.count == 1 ? "remains" : "remain"
            self.record(
                "repair", request, detail: "\(repaired) of \(key), \(remaining.count) \(verb)")
        }
        return Self.repairDocument(key, verb: "repaired", reply.repaired, remaining: remaining)
    }

    private func repairByOwner(_ key: ConversationKey) async throws(HTTPError) -> RepairReply {
        let snapshot = try await self.clusterSnapshot()
        let owner = snapshot.view.owner(of: key)
        let peers = snapshot.peers.filter { $0.incarnation == owner.incarnation }
        let replies = await self.query(.repair(key), of: peers, in: snapshot)
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
    func repairLocally(_ gateway: Gateway, _ key: JSONTree) async -> JSONTree? {
        guard let id = key["conversation"]?.stringValue, let tenant = key["tenant"]?.stringValue
        else { return nil }
        let conversation = ConversationKey(tenant: ByteString(tenant), id: ByteString(id))
        switch await gateway.repair(conversation, within: Self.localTimeout) {
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
            let result = try await self.verify(key, comparesWithOwner: repairable.isEmpty)
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
        return self.document([
            .init("summary", .string(summary)),
            .init("conversation", .string(key.id.string)),
            .init("tenant", .string(key.tenant.string)),
            .init("complete", .bool(remaining.isEmpty)),
            .init("repaired", .array(repaired.map { .string($0) })),
            .init("remaining", .array(remaining.map { .string($0) })),
            .init("note", remaining.isEmpty ? .null : .string(self.lossNote)),
        ])
    }
}
