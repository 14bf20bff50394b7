internal import JSON

/// The verbs that show messages on their way, and the live view.
extension OperatorVerb {
    static let traceVerb =
        OperatorVerb(
            "trace", "show the path of a message through the nodes",
            [
                .argument(
                    "message", "MESSAGE", kind: .number(1...(1 << 53)), "the message's number",
                    isOptional: true),
                .option(
                    "conversation", "CONVERSATION", .text(limit: 255),
                    "the message's conversation"),
                tenant,
                .option("user", "USER", .user, "follow the messages from and to this user"),
                .option(
                    "for", "SECONDS", .duration(1...86_400), default: .number("60"),
                    "with --user: how long to follow"),
            ],
            role: .read, display: .table(key: "steps", stepColumns), isRepeatable: false,
            examples: [
                .init("confab trace 42 --conversation lobby", "every step of one message"),
                .init("confab trace --user alice --for 60s", "her messages as they happen"),
            ],
            notes: [
                """
                Every node is asked. OFFSET is the time since the first step on the same node, by \
                that node's clock. SINCE ACCEPTED compares the clocks of two nodes through Redis' \
                clock and is missing if an offset is unknown; it is as exact as a round trip to \
                Redis. All steps of one turn of a loop have the same time.
                """,
                """
                Each loop keeps its last steps (--limit trace-steps of confab serve). The exit \
                status is 1 if no node has a step of the message, and 3 if a node did not answer.
                """,
                """
                With --user each message is printed once: when a reader's socket has accepted it, \
                when it has failed, or after two seconds. With --output json it is an object on a \
                line of its own. In the admin API, `for` looks back that many seconds, and the \
                messages are under `messages`.
                """,
            ])

    static let topVerb =
        OperatorVerb(
            "top", "watch the cluster on the whole screen",
            [
                .argument(
                    "view", "VIEW", kind: .choice(topViewNames), "what to show first",
                    isOptional: true)
            ],
            path: nil, display: .custom,
            examples: [
                .init("confab top", "the nodes"),
                .init("confab top connections --watch 1", "connections, every second"),
            ],
            notes: [
                """
                Keys: s sorts by the next column, r reverses the order, left and right change the \
                view, p pauses, ? lists the keys, q quits.
                """,
                """
                If no node answers, the screen says so above the last data and the command tries \
                again. It needs a terminal.
                """,
            ])

    /// The verbs whose tables `top` shows.
    public static let topViewNames = ["nodes", "conversations", "connections", "redis"]

    private static let stepColumns: [OperatorColumn] = [
        .init("NODE", "node"), .init("LOOP", "loop", .number, importance: 2),
        .init("STEP", "step"), .init("TIMESTAMP", "timestamp", importance: 3),
        .init("OFFSET", "offset", .milliseconds),
        .init("SINCE ACCEPTED", "since_accepted", .milliseconds, importance: 5),
        .init("DETAIL", "detail", importance: 4),
    ]

    /// The form of a line of `confab trace --user`.
    public static let tracedMessageColumns: [OperatorColumn] = [
        .init("TIMESTAMP", "timestamp"), .init("CONVERSATION", "conversation"),
        .init("MESSAGE", "message", .number), .init("DIRECTION", "direction"),
        .init("STATE", "state"), .init("ACCEPTED ON", "accepted_on"), .init("OWNER", "owner"),
        .init("STORED", "stored", .milliseconds),
        .init("FIRST WRITTEN", "first_written", .milliseconds),
        .init("LAST WRITTEN", "last_written", .milliseconds),
        .init("SOCKETS", "sockets", .number), .init("DELIVERED", "delivered", .milliseconds),
    ]
}
