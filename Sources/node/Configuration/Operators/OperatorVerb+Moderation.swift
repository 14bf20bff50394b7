internal import JSON

/// The verbs that disconnect and ban users, and that end and delete conversations.
extension OperatorVerb {
    private static let bannedUser = OperatorParameter.option(
        "user", "USER", .user, isRequired: true,
        "the user's id as other users see it (required)")
    private static let place: [OperatorParameter] = [
        .option(
            "conversation", "CONVERSATION", .text(limit: 255),
            "only this conversation; without it, all of the tenant"),
        .option("tenant", "TENANT", .tenant, default: "default", "the user's tenant"),
    ]
    /// Ten years.
    private static let banSeconds = 1.0...315_360_000

    static let moderationVerbs: [OperatorVerb] = [
        OperatorVerb(
            "disconnect", "close the connections of a user",
            [
                .option("user", "USER", .user, "all connections of this user, on all nodes"),
                .option(
                    "connection", "ID", .text(limit: 255),
                    "this connection, by its ID in `confab connections`"),
                .option("tenant", "TENANT", .tenant, default: "default", "the user's tenant"),
            ],
            role: .operate, display: .summary,
            examples: [
                .init("confab disconnect --user alice --yes", "on all nodes"),
                .init("confab disconnect --connection n1/0.17.3 --yes", "one connection"),
            ],
            notes: [
                """
                Connections close with 1012, and clients connect again. Use `confab ban` to keep a \
                user out.
                """
            ]),
        OperatorVerb(
            "ban", "keep a user out of a tenant or a conversation",
            [bannedUser] + place + [
                .option(
                    "for", "DURATION", .duration(banSeconds),
                    "end of the ban, such as 1h; without it, the ban has no end"),
                .option(
                    "reason", "TEXT", .text(limit: 800),
                    "a text for the user, at most 200 characters"),
            ],
            role: .operate, display: .summary,
            examples: [
                .init("confab ban --user alice --for 1h --yes", "out of the tenant for an hour"),
                .init(
                    #"confab ban --user guest:eve --conversation lobby --reason "Spam." --yes"#,
                    "out of one conversation"),
            ],
            notes: [
                """
                The ban is stored and applies on all nodes when the command returns, to open \
                connections too. Clients get the reason. The user stays a member. A second ban of \
                the same user from the same place replaces the first one.
                """
            ]),
        OperatorVerb(
            "unban", "end a ban", [bannedUser] + place, role: .operate, display: .summary,
            examples: [
                .init("confab unban --user alice --yes", "end the ban from the tenant"),
                .init(
                    "confab unban --user alice --conversation lobby --yes",
                    "end the ban from the conversation"),
            ]),
        OperatorVerb(
            "bans", "list the bans that apply",
            [
                .option("tenant", "TENANT", .tenant, "only the bans of this tenant"),
                .option("user", "USER", .user, "only the bans of this user"),
            ],
            display: .table(
                key: "bans",
                [
                    .init("TENANT", "tenant", importance: 3), .init("USER", "user"),
                    .init("CONVERSATION", "conversation"), .init("UNTIL", "until"),
                    .init("REASON", "reason", importance: 2),
                    .init("OPERATOR", "operator", importance: 1),
                    .init("SINCE", "since", importance: 1),
                ]), readsRedis: true,
            examples: [
                .init("confab bans --user alice", "all bans of one user"),
                .init(
                    "confab bans --via redis://10.0.0.9:6379", "from Redis, while no node answers"),
            ]),
        OperatorVerb(
            "end", "make a conversation read-only", [conversation, tenant], role: .operate,
            display: .summary,
            examples: [.init("confab end lobby --yes", "sends to it are refused from then on")],
            notes: ["The members are notified. An ended conversation stays readable."]),
        OperatorVerb(
            "delete", "delete a message, or a whole conversation",
            [
                conversation,
                .argument(
                    "message", "MESSAGE", kind: .number(1...Int(Int32.max)),
                    "the number of a message; without it, the whole conversation",
                    isOptional: true),
                tenant,
            ],
            role: .operate, display: .summary,
            examples: [
                .init("confab delete lobby 120 --yes", "the text of message 120"),
                .init("confab delete lobby --yes", "end it, and delete all messages and members"),
            ],
            notes: [
                """
                A deleted message keeps its number and loses its text, as if its author had \
                deleted it. Without MESSAGE, the conversation ends, all retained messages are \
                deleted, and all members are removed. Its id cannot be used again. If the \
                command is interrupted, repeat it.
                """
            ]),
    ]
}
