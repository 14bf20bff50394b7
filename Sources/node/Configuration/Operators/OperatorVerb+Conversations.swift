internal import JSON

/// The verbs about conversations and their messages.
extension OperatorVerb {
    static let conversation = OperatorParameter.argument(
        "conversation", "CONVERSATION", "the id of the conversation")
    static let tenant = OperatorParameter.option(
        "tenant", "TENANT", .tenant, default: "default", "the conversation's tenant")

    static let conversationVerbs: [OperatorVerb] = [
        OperatorVerb(
            "create", "create a conversation",
            [
                .option("title", "TITLE", .text(limit: 200), "its title"),
                .option("closed", "", .flag, "only members, and tokens that list it, may enter"),
                .option("unlisted", "", .flag, "only users who have the link find it"),
                .option(
                    "members", as: "member", "USER", .users(limit: 100),
                    "id of a first member; repeatable"),
                tenant,
            ],
            role: .operate, display: .summary,
            examples: [
                .init(
                    #"confab create --title Order-1042 --closed --member ann --yes"#,
                    "for ann; prints its id and its link")
            ],
            notes: [
                """
                Without --closed, --default-access of the node decides. A closed conversation is \
                in no list but those of its members. The conversation has no creator: only \
                admins manage it.
                """
            ]),
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
            role: .read, display: .table(key: "messages", messageColumns), readsRedis: true,
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
            role: .read, path: nil, display: .custom, isRepeatable: false,
            examples: [.init("confab tail lobby", "until Ctrl-C")],
            notes: [
                """
                With --output json every message is an object on a line of its own. Without \
                --after the output starts with the next message.
                """
            ]),
        OperatorVerb(
            "verify", "check a conversation's stream for gaps, or all of them",
            [
                .argument(
                    "conversation", "CONVERSATION", "the id of the conversation", isOptional: true,
                    isRequiredInAPI: true),
                tenant,
                .clientOption("all", "", .flag, "check all conversations of all tenants"),
                .clientOption(
                    "rate", "N", .rate, default: 20_000,
                    "with --all: messages to read per second, 5000 or 5000/s"),
                .clientOption("repair", "", .flag, "with --all: repair what is safe to repair"),
            ],
            display: .record(
                verificationColumns,
                sentences: Sentences("faults", whenEmpty: "The stream is complete.")),
            readsRedis: true, isRepeatable: false, successKey: "complete", mayChange: true,
            examples: [
                .init("confab verify lobby", "exit status 0: no faults"),
                .init("confab verify --all --rate 5000/s", "all conversations, slowly"),
                .init("confab verify --all --repair --dry-run", "what a repair would do"),
            ],
            notes: [
                """
                Reads everything retained, and checks that no number is missing or duplicated, \
                that numbers and revisions increase, that the end matches the owner, and that \
                every list has the conversation. Exit status 1 means a fault. With --all the \
                conversations are read one after the other, at most as fast as --rate says.
                """
            ]),
        OperatorVerb(
            "verify-all", "check a part of all conversations",
            [
                .member("after", .text(limit: 256), "the `next` of the part before"),
                .member("limit", .number(1...200), "the approximate number of conversations"),
            ],
            path: "verify/all", display: .table(key: "conversations", faultyColumns),
            isCommand: false, examples: [],
            notes: [
                """
                Checks some of the conversations of all tenants, and returns those that have a \
                fault. `checked` and `messages` count what was read. `next` is the `after` of the \
                next request; it is null at the end.
                """
            ]),
        OperatorVerb(
            "repair", "repair the faults of a conversation", [conversation, tenant],
            role: .operate, display: .summary, successKey: "complete",
            examples: [
                .init("confab repair lobby --dry-run", "only report what it would do"),
                .init("confab repair lobby --yes", "without confirmation"),
            ],
            notes: [
                """
                The owner repairs only faults whose correct state is certain: a record behind its \
                stream, a list without the conversation, an index without a stored message. Lost \
                messages stay lost; restore a backup. Exit status 1 means that a fault \
                remains. docs/operating/repair.md lists all faults.
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
                .option(
                    "reply_to", as: "reply-to", "M", .number(1...Int(Int32.max)),
                    "the message to which it replies"),
            ],
            role: .operate, display: .summary,
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
        .init("REASON", "reason"),
    ]

    /// Also the form of a line of `confab tail`.
    public static let messageColumns: [OperatorColumn] = [
        .init("ID", "id", .numberText), .init("TIMESTAMP", "timestamp", importance: 3),
        .init("SENDER ID", "sender_id"),
        .init("GUEST KEY", "guest_key", importance: 7, isOptional: true),
        .init("CONTENT", "content"), .init("IS EDITED", "is_edited", .flag, importance: 1),
        .init("IS DELETED", "is_deleted", .flag, importance: 2),
        .init("REPLY TO", "reply_to", .numberText, importance: 6, isOptional: true),
        .init("REACTIONS", "reactions", .list, importance: 5, isOptional: true),
        .init("IS PINNED", "is_pinned", .flag, importance: 4, isOptional: true),
    ]

    /// The table of `confab verify --all`.
    public static let foundFaultColumns: [OperatorColumn] = [
        .init("CONVERSATION", "conversation"), .init("TENANT", "tenant", importance: 1),
        .init("OUTCOME", "outcome", .state), .init("FAULT", "fault"),
    ]

    private static let faultyColumns: [OperatorColumn] = [
        .init("CONVERSATION", "conversation"), .init("TENANT", "tenant"),
        .init("REPAIRABLE", "repairable", .number), .init("FAULTS", "faults", .list),
    ]

    private static let verificationColumns: [OperatorColumn] = [
        .init("CONVERSATION", "conversation"), .init("TENANT", "tenant"),
        .init("COMPLETE", "complete", .flag),
        .init("MESSAGES", "messages", .number), .init("OLDEST", "oldest", .number),
        .init("HEAD", "head", .number),
        .init("REVISION", "revision", .number), .init("OWNER", "owner"),
        .init("OWNER HEAD", "owner_head", .number),
        .init("REPAIRABLE", "repairable", .number),
        .init("FAULTS", "faults", .list),
    ]
}
