internal import JSON

/// The verbs for webhooks. One command has three requests, because reading the list needs a
/// lower role than changing it.
extension OperatorVerb {
    /// The most dead letters in one document.
    public static let deadLetterLimit = 1000

    static let webhookVerbs: [OperatorVerb] = [
        OperatorVerb(
            "webhooks", "list the receivers of events, and events that were given up",
            [
                .clientOption("dead", "", .flag, "list the dead letters instead"),
                .clientOption(
                    "retry", "ID|all", .text(limit: 255), "send a dead letter again, or all"),
                .clientOption(
                    "drop", "ID|all", .text(limit: 255), "forget a dead letter, or all"),
            ],
            display: .table(
                key: "webhooks",
                [
                    .init("NODE", "node"), .init("URL", "url"), .init("STATE", "state", .state),
                    .init("PENDING", "pending", .number, isSummed: true),
                    .init("OLDEST AGE", "oldest_age", .seconds, importance: 3),
                    .init("IN FLIGHT", "in_flight", .number, importance: 1, isSummed: true),
                    .init("DELIVERED", "delivered", .number, importance: 2, isSummed: true),
                    .init("FAILED", "failed", .number, importance: 2, isSummed: true),
                    .init("DEAD LETTERS", "dead_letters", .number, importance: 3, isSummed: true),
                    .init("LAST ERROR", "last_error", importance: 1),
                ]), mayChange: true,
            examples: [
                .init("confab webhooks", "every receiver, as each node sees it"),
                .init("confab webhooks --dead", "the events that were given up"),
                .init("confab webhooks --retry all --yes", "send all of them again"),
            ],
            notes: [
                """
                Every node sends the events of its own conversations. STATE is ok, failing, or \
                gone after an answer 410. DELIVERED, FAILED and DEAD LETTERS count since the start \
                of the node; FAILED counts attempts. --dead lists the dead letters of the \
                cluster.
                """
            ]),
        OperatorVerb(
            "webhooks-dead", "list the events that were given up",
            path: "webhooks/dead",
            display: .table(
                key: "dead_letters",
                [
                    .init("ID", "id"), .init("TYPE", "type"),
                    .init("TENANT", "tenant", importance: 1),
                    .init("CONVERSATION", "conversation"), .init("URL", "url", importance: 2),
                    .init("ATTEMPTS", "attempts", .number, importance: 3),
                    .init("DEAD SINCE", "dead_since"),
                    .init("LAST ERROR", "last_error", importance: 2),
                ]),
            isCommand: false, examples: []),
        OperatorVerb(
            "webhooks-change", "send dead letters again, or forget them",
            [
                .member(
                    "action", .choice(["retry", "drop"]), default: "retry",
                    "what to do with them"),
                .member(
                    "id", .text(limit: 255), default: "all", "the id of an event, or `all`"),
            ],
            role: .operate, path: "webhooks/change", display: .summary, isCommand: false,
            examples: []),
    ]
}
