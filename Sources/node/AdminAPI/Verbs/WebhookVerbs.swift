internal import Bytes
internal import ChatModel
internal import ClusterWire
internal import Configuration
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Webhooks

/// Webhooks: their receivers, and the dead letters.
struct WebhookVerbs: VerbGroup {
    private static let rows = NodeTopic("webhooks", isReading: true)
    private static let deadLetters = NodeTopic("dead_letters", isReading: true)
    private static let change = NodeTopic("change_dead_letters")

    let context: AdminContext
    /// Nil if the node sends no webhooks.
    let service: WebhookService?

    var handlers: [String: AdminHandler] {
        [
            "webhooks": { _ async throws(HTTPError) in
                try await self.joined(Self.rows, under: "webhooks")
            },
            "webhooks/dead": { _ async throws(HTTPError) in
                try await self.joined(Self.deadLetters, under: "dead_letters")
            },
            "webhooks/change": self.changeDeadLetters,
        ]
    }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [
            Self.rows: { _, _ in self.localRows() },
            Self.deadLetters: { _, _ in await self.localDeadLetters() },
            Self.change: { _, order in await self.changeLocalDeadLetters(order) },
        ]
    }

    /// The rows of all living nodes.
    private func joined(_ topic: NodeTopic, under key: String) async throws(HTTPError)
        -> JSONTree
    {
        let snapshot = try await self.context.snapshot()
        let living = snapshot.living
        let replies = await self.context.query(topic, of: living, in: snapshot)
        let rows = living.flatMap { replies.byNode[$0.incarnation]?.elements ?? [] }
        return .document([.init(key, .array(rows))] + replies.counts)
    }

    private func changeDeadLetters(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let (action, id) = (request.text("action") ?? "retry", request.text("id") ?? "all")
        let what = id == "all" ? "all dead letters" : "dead letter \(id)"
        let verb = action == "retry" ? "sent again" : "dropped"
        if request.isDryRun { return .summary("\(what) would be \(verb)") }
        let snapshot = try await self.context.snapshot()
        let living = snapshot.living
        let replies = await self.context.query(
            Self.change, request.values, of: living, in: snapshot)
        let count = living.reduce(0) {
            $0 + (replies.byNode[$1.incarnation]?.integerValue ?? 0)
        }
        let answeredAll = living.allSatisfy { replies.byNode[$0.incarnation] != nil }
        guard id == "all" || count > 0 || !answeredAll else {
            throw HTTPError(.notFound, "There is no dead letter \(id).")
        }
        self.context.record("webhooks_\(action)", request, detail: what)
        let summary = "\(OperatorText.count(count, "dead letter")) \(verb)"
        return .summary(summary, replies.counts)
    }

    // MARK: This node

    func localRows() -> JSONTree {
        guard let summary = self.service?.summary else { return .array([]) }
        return .array(
            zip(summary.urls, summary.reports).map { url, report -> JSONTree in
                [
                    "node": .string(self.context.record.name), "url": .string(url),
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
    private func localDeadLetters() async -> JSONTree? {
        guard let service else { return .array([]) }
        guard let letters = await service.deadLetters(limit: OperatorVerb.deadLetterLimit) else {
            return nil
        }
        return .array(
            letters.map { letter -> JSONTree in
                let url = service.url(of: letter.group)
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
    private func changeLocalDeadLetters(_ order: JSONTree) async -> JSONTree? {
        guard let service else { return .integer(0) }
        guard let action = order["action"]?.stringValue, let id = order["id"]?.stringValue else {
            return nil
        }
        let count = await service.changeDeadLetters(
            id == "all" ? nil : ByteString(id), isRetry: action == "retry")
        return count.map { .integer($0) }
    }
}
