internal import JSON

/// The verbs about conversations and their messages.
extension OperatorVerb {
    static let conversation = OperatorParameter.argument(
        "conversation", "CONVERSATION", "the id of the conversation")
    static let tenant = OperatorParameter.option(
        "tenant", "TENANT", .tenant, default: "default", "the conversation's tenant")

    static let conversationVerbs: [OperatorVerb] = [
        OperatorVerb(
            "owner", "show the owner of a conversation", [conversation, tenant],
            display: .record(ownerColumns), readsRedis: true,
            examples: [.init("confab owner lobby", "its shard, owner and epoch")]),
        OperatorVerb(
            "history", "print messages of a conversation",
            [
                conversation, tenant,
                .option(
                    "last", "N", .number(1...1000), "number of newest messages (default: 20)"),
                .option(
                    "after", "M", .number(0...Int(Int32.max)),
                    "up to 1,000 messages after this number"),
            ],
            display: .table(key: "messages", messageColumns),
            examples: [
                .init("confab history lobby --last 50", "the newest 50 messages"),
                .init("confab history lobby --after 120 --output json", "a page for a program"),
            ]),
        OperatorVerb(
            "tail", "print new messages of a conversation",
            [
                conversation, tenant,
                .option(
                    "after", "M", .number(0...Int(Int32.max)), "messages after this number"),
            ],
            path: nil, display: .custom, isRepeatable: false,
            examples: [.init("confab tail lobby", "until Ctrl-C")],
            notes: [
                """
                With --output json every message is an object on a line of its own. Without \
                --after the output starts with the next message.
                """
            ]),
        OperatorVerb(
            "verify", "check a conversation's stream for gaps", [conversation, tenant],
            display: .record(
                verificationColumns,
                sentences: Sentences("faults", whenEmpty: "The stream is complete.")),
            isRepeatable: false, successKey: "whole",
            examples: [.init("confab verify lobby", "exit status 0: no faults")],
            notes: [
                """
                Reads everything retained, and checks that no number is missing or duplicated, \
                that numbers and revisions increase, and that the end matches the owner. Exit \
                status 1 means a fault.
                """
            ]),
        OperatorVerb(
            "send", "send a message to a conversation",
            [
                conversation, tenant,
                .argument("content", "TEXT", kind: .text(limit: 1 << 20), "the message's text"),
                .option(
                    "user", as: "as", "USER", .user, isRequired: true,
                    "the sender's id (required); joins if not a member"),
            ],
            permission: .operate, display: .summary,
            examples: [
                .init(
                    "confab send lobby Hello --as ops --yes",
                    "as the user ops, without confirmation")
            ],
            notes: ["The message is numbered and stored when the command returns."]),
    ]

    private static let ownerColumns: [OperatorColumn] = [
        .init("CONVERSATION", "conversation"), .init("TENANT", "tenant"),
        .init("SHARD", "shard", .number), .init("OWNER", "owner"),
        .init("LOOP", "loop", .number), .init("EPOCH", "epoch", .number),
        .init("STATE", "state", .state), .init("HEAD", "head", .number),
        .init("REVISION", "revision", .number), .init("VIEW", "view", .number),
        .init("WHY", "why"),
    ]

    /// Also the form of a line of `confab tail`.
    public static let messageColumns: [OperatorColumn] = [
        .init("ID", "id", .numberText), .init("TIMESTAMP", "timestamp", importance: 3),
        .init("SENDER ID", "sender_id"),
        .init("CONTENT", "content"), .init("IS EDITED", "is_edited", .flag, importance: 1),
        .init("IS DELETED", "is_deleted", .flag, importance: 2),
    ]

    private static let verificationColumns: [OperatorColumn] = [
        .init("CONVERSATION", "conversation"), .init("TENANT", "tenant"),
        .init("WHOLE", "whole", .flag),
        .init("MESSAGES", "messages", .number), .init("OLDEST", "oldest", .number),
        .init("HEAD", "head", .number),
        .init("REVISION", "revision", .number), .init("OWNER", "owner"),
        .init("OWNER HEAD", "owner_head", .number),
        .init("FAULTS", "faults", .list),
    ]
}
