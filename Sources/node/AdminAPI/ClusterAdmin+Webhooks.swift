internal import Bytes
internal import ChatModel
internal import ClusterWire
internal import Configuration
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Webhooks

/// Webhooks: their receivers, and the dead letters.
extension ClusterAdmin {
    func webhookRows(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        try await self.joined(NodeRequest("webhooks"), under: "webhooks")
    }

    func deadLetters(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        try await self.joined(NodeRequest("dead_letters"), under: "dead_letters")
    }

    /// The rows of all living nodes.
    private func joined(_ question: NodeRequest, under key: String) async throws(HTTPError)
        -> JSONTree
    {
        let snapshot = try await self.clusterSnapshot()
        let living = snapshot.peers.filter { $0.evictedFor == nil }
        let replies = await self.query(question, of: living, in: snapshot)
        let rows = living.flatMap { replies.byNode[$0.incarnation]?.elements ?? [] }
        return Self.document([.init(key, .array(rows))] + replies.counts)
    }

    func changeDeadLetters(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let (action, id) = (request.text("action") ?? "retry", request.text("id") ?? "all")
        let what = id == "all" ? "all dead letters" : "dead letter \(id)"
        let verb = action == "retry" ? "sent again" : "dropped"
        guard !request.isDryRun else {
            return Self.document([.init("summary", .string("\(what) would be \(verb)"))])
        }
        let snapshot = try await self.clusterSnapshot()
        let living = snapshot.peers.filter { $0.evictedFor == nil }
        let replies = await self.query(
            NodeRequest("change_dead_letters", request.values), of: living, in: snapshot)
        let count = living.reduce(0) {
            $0 + (replies.byNode[$1.incarnation]?.integerValue ?? 0)
        }
        let answeredAll = living.allSatisfy { replies.byNode[$0.incarnation] != nil }
        guard id == "all" || count > 0 || !answeredAll else {
            throw HTTPError(.notFound, "There is no dead letter \(id).")
        }
        self.record("webhooks_\(action)", request, detail: what)
        let summary = "\(OperatorText.count(count, "dead letter")) \(verb)"
        return Self.document([.init("summary", .string(summary))] + replies.counts)
    }

    // MARK: This node

    func localWebhooks() -> JSONTree {
        guard let summary = self.webhooks?.summary else { return .array([]) }
        return .array(
            zip(summary.urls, summary.reports).map { url, report -> JSONTree in
                [
                    "node": .string(self.record.name), "url": .string(url),
                    "state": .string(report.state), "pending": .integer(report.pending),
                    "oldest_age": report.oldestAge.map { .integer($0 / 1000) } ?? .null,
                    "in_flight": .integer(report.sending),
                    "delivered": .integer(report.deliveredCount),
                    "failed": .integer(report.failedCount), "dead_letters": .integer(report.dead),
                    "last_error": report.lastError.map { .string($0) } ?? .null,
                ]
            })
    }

    /// Nil if the store does not answer.
    func localDeadLetters() async -> JSONTree? {
        guard let webhooks = self.webhooks else { return .array([]) }
        guard let letters = await webhooks.deadLetters(limit: OperatorVerb.deadLetterLimit) else {
            return nil
        }
        return .array(
            letters.map { letter -> JSONTree in
                let url = webhooks.url(of: letter.group)
                return [
                    "id": .string(letter.id.string), "type": .string(letter.type.string),
                    "tenant": .string(letter.conversation.tenant.string),
                    "conversation": .string(letter.conversation.id.string),
                    "url": url.map { .string($0) } ?? .null,
                    "attempts": .integer(letter.attempts),
                    "dead_since": .string(letter.diedAt.text),
                    "last_error": .string(letter.reason),
                ]
            })
    }

    /// - Returns: the number of changed dead letters; nil if the store does not answer.
    func changeLocalDeadLetters(_ order: JSONTree) async -> JSONTree? {
        guard let webhooks = self.webhooks else { return .integer(0) }
        guard let action = order["action"]?.stringValue, let id = order["id"]?.stringValue else {
            return nil
        }
        let count = await webhooks.changeDeadLetters(
            id == "all" ? nil : ByteString(id), isRetry: action == "retry")
        return count.map { .integer($0) }
    }
}
