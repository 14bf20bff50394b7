internal import JSON

/// The verbs that look up conversations, connections, users and nodes.
extension OperatorVerb {
    /// The number of rows of a long list, and of the parts of a record.
    public static let rowLimits = 1...10_000
    public static let memberLimits = 1...1000
    public static let defaultRowLimit = 100

    /// The parameters of a list that the nodes sort and limit. On the command line they are the
    /// options of every table.
    private static func order(by columns: [OperatorColumn], first: String) -> [OperatorParameter] {
        let keys = columns.map(\.key)
        return [
            .member(
                "sort", .choice(keys + keys.map { "-\($0)" }), default: .string(first),
                "the column, with a minus for descending order"),
            .member(
                "limit", .number(rowLimits), default: .integer(defaultRowLimit),
                "maximum number of rows"),
        ]
    }

    private static func userTenant(_ help: String) -> OperatorParameter {
        .option("tenant", "TENANT", .tenant, default: "default", help)
    }

    private static let largeListNote = """
        The nodes sort and limit the rows, so --sort with --limit finds the first of all rows. \
        Without --limit there are 100, at most 10,000.
        """

    static let nodeVerb =
        OperatorVerb(
            "node", "show one node in full", [nodeArgument],
            display: .record(nodeDetailColumns, sections: nodeSections),
            examples: [.init("confab node n1", "its load, settings, limits, loops and Redis")],
            notes: [
                """
                Each setting has its source: the command line, a variable, the file or the \
                default. Secrets are never shown.
                """
            ])

    static let lookupVerbs: [OperatorVerb] = [
        OperatorVerb(
            "conversations", "list the conversations in memory",
            order(by: conversationColumns, first: "-fan_out_s"),
            display: .table(key: "conversations", conversationColumns, isLarge: true),
            examples: [
                .init("confab conversations --sort -msg_s --limit 10", "the busiest ones"),
                .init("confab conversations --sort -members --watch", "the largest ones"),
            ],
            notes: [
                """
                Only conversations in the memory of their owners have a row; idle ones are in the \
                store. `confab conversation` finds both. MSG/S is the mean of the last ten \
                seconds, and FAN-OUT/S is MSG/S times the users PRESENT. KEPT counts the messages \
                that can still be read.
                """, largeListNote,
                """
                It has no --via: Redis has no index of the conversations in memory, and a list of \
                all conversations would read every key. With --via, `confab conversation` reads \
                one conversation, and `confab user` those of a user.
                """,
            ]),
        OperatorVerb(
            "conversation", "show one conversation in full",
            [
                conversation, tenant,
                .option(
                    "members", "N", .number(memberLimits), default: .integer(defaultRowLimit),
                    "number of members to list"),
            ],
            display: .record(conversationDetailColumns, sections: conversationSections),
            readsRedis: true,
            examples: [
                .init("confab conversation lobby", "its members, cursors and presence"),
                .init(
                    "confab conversation lobby --via redis://10.0.0.9:6379",
                    "from Redis, while no node answers"),
            ],
            notes: [
                """
                The owner answers. If the conversation is not in memory, or its owner does not \
                answer, the store does. UNSTORED counts changes that the store has not confirmed.
                """,
                """
                With --via the record, the members with their cursors and the bans are those in \
                Redis. Presence, rates and unstored changes are unknown. OLDEST is the oldest \
                message in Redis, which may have more than --history says.
                """,
            ]),
        OperatorVerb(
            "connections", "list the connections of clients",
            [
                .option("user", "USER", .user, "only connections of this user"),
                userTenant("the tenant of --user"),
                .option("node", "NODE", .text(limit: 255), "only connections of this node"),
                .option("slow", "", .flag, "only those with more than 64 KiB of unsent data"),
            ] + order(by: connectionColumns, first: "-pending"),
            display: .table(key: "connections", connectionColumns, isLarge: true),
            examples: [
                .init("confab connections --slow", "clients that read too slowly"),
                .init("confab connections --user alice", "everywhere alice is connected"),
                .init("confab connections --sort -in --limit 10", "the clients that send most"),
            ],
            notes: [
                """
                IN and OUT are the bytes that the client has sent and acknowledged, with TLS and \
                HTTP; a session that polls has none. RTT is the time from the last answered ping \
                to its pong. IDLE is the time since the client last sent anything, pongs \
                included. Plain HTTP requests have no row.
                """, largeListNote,
            ]),
        OperatorVerb(
            "connection", "show one connection in full",
            [
                .argument(
                    "connection", "CONNECTION", "the id from `confab connections`: n1/0.12.3")
            ],
            display: .record(connectionDetailColumns, sections: connectionSections),
            examples: [.init("confab connection n1/0.12.3", "its conversations and state")],
            notes: [
                "After the slash the id is as in the node's log. It is valid until the node ends."
            ]),
        OperatorVerb(
            "user", "show one user in full",
            [
                .argument("user", "USER", kind: .user, "the user's id, such as alice or guest:bob"),
                userTenant("the user's tenant"),
                .option(
                    "limit", "N", .number(rowLimits), default: .integer(defaultRowLimit),
                    "number of connections and of conversations to list"),
            ],
            role: .read, display: .record(userColumns, sections: userSections), readsRedis: true,
            examples: [
                .init("confab user alice", "sessions, conversations, unread messages"),
                .init(
                    "confab user alice --via redis://10.0.0.9:6379",
                    "from Redis, while no node answers"),
            ],
            notes: [
                """
                Conversations with the newest activity come first. UNREAD counts up to 1,000 \
                messages above READ that other users wrote.
                """,
                """
                With --via the conversations and bans are those in Redis, and the connections are \
                unknown.
                """,
            ]),
    ]

    // MARK: Columns

    private static let conversationColumns: [OperatorColumn] = [
        .init("ID", "id"), .init("TENANT", "tenant", importance: 1),
        .init("KIND", "kind", importance: 5), .init("OWNER", "owner", importance: 8),
        .init("MEMBERS", "members", .number, importance: 7),
        .init("PRESENT", "present", .number, importance: 9),
        .init("HEAD", "head", .number, importance: 4),
        .init("MSG/S", "msg_s", .number, importance: 11),
        .init("FAN-OUT/S", "fan_out_s", .number, importance: 10),
        .init("KEPT", "kept", .number, importance: 3),
        .init("UPDATED", "updated", importance: 6),
    ]

    private static let connectionColumns: [OperatorColumn] = [
        .init("ID", "id"), .init("USER", "user", importance: 12),
        .init("GUEST KEY", "guest_key", importance: 5, isOptional: true),
        .init("TENANT", "tenant", importance: 1),
        .init("DIALECT", "dialect", importance: 9),
        .init("TRANSPORT", "transport", importance: 2),
        .init("NODE", "node", importance: 3), .init("ADDRESS", "address", importance: 8),
        .init("CONVERSATIONS", "conversations", .number, importance: 4),
        .init("PENDING", "pending", .bytes, importance: 11),
        .init("IN", "in", .bytes, importance: 7), .init("OUT", "out", .bytes, importance: 7),
        .init("RTT", "rtt", .milliseconds, importance: 10),
        .init("UPTIME", "uptime", .seconds, importance: 5),
        .init("IDLE", "idle", .seconds, importance: 6),
    ]

    private static let presenceSection = Section(
        "PRESENCE", "presence",
        [.init("NODE", "node"), .init("CONNECTIONS", "connections", .number)])

    private static let banSection = Section(
        "BANS", "bans",
        [
            .init("USER", "user"), .init("CONVERSATION", "conversation"), .init("UNTIL", "until"),
            .init("REASON", "reason", importance: 2), .init("OPERATOR", "operator", importance: 1),
            .init("SINCE", "since", importance: 1),
        ])

    private static let conversationDetailColumns: [OperatorColumn] = [
        .init("CONVERSATION", "conversation"), .init("TENANT", "tenant"), .init("KIND", "kind"),
        .init("JOIN POLICY", "join_policy"), .init("PIN POLICY", "pin_policy"),
        .init("LISTED", "listed", .flag),
        .init("TITLE", "title"), .init("CREATOR", "creator"), .init("CREATED", "created"),
        .init("UPDATED", "updated"), .init("ENDED", "ended"),
        .init("SHARD", "shard", .number), .init("OWNER", "owner"), .init("LOOP", "loop", .number),
        .init("IN MEMORY", "in_memory", .flag), .init("HEAD", "head", .number),
        .init("OLDEST", "oldest", .number), .init("REVISION", "revision", .number),
        .init("UNSTORED", "unstored", .number), .init("MSG/S", "msg_s", .number),
        .init("MEMBERS", "member_count", .number), .init("PRESENT", "present", .number),
        .init("PINNED", "pinned_count", .number),
    ]

    private static let conversationSections = [
        presenceSection,
        Section(
            "MEMBERS", "members",
            [
                .init("USER", "user"),
                .init("GUEST KEY", "guest_key", importance: 5, isOptional: true),
                .init("NAME", "name", importance: 4),
                .init("AGENT", "agent", importance: 2), .init("ROLE", "role", importance: 6),
                .init("JOINED", "joined", importance: 3),
                .init("READ", "read_cursor", .number, importance: 8),
                .init("DELIVERED", "delivered_cursor", .number, importance: 7),
                .init("NODES", "nodes", .list, importance: 9),
            ]), banSection,
    ]

    private static let connectionDetailColumns =
        connectionColumns + [
            .init("TLS", "tls", .flag), .init("COMPRESSED", "compressed", .flag),
            .init("READING PAUSED", "reading_paused", .flag),
            .init("UNANSWERED", "unanswered", .number),
            .init("TOKEN EXPIRES IN", "token_expires_in", .seconds),
        ]

    private static let connectionSections = [
        Section(
            "CONVERSATIONS", "subscriptions",
            [
                .init("CONVERSATION", "conversation"),
                .init("SENT THROUGH", "sent_through", .number),
                .init("CATCHING UP", "catching_up", .flag),
            ])
    ]

    private static let userColumns: [OperatorColumn] = [
        .init("USER", "user"), .init("TENANT", "tenant"), .init("ONLINE", "online", .flag),
        .init("CONNECTIONS", "count", .number), .init("STORE ERROR", "store_error"),
    ]

    private static let userSections = [
        presenceSection, Section("CONNECTIONS", "connections", connectionColumns),
        Section(
            "CONVERSATIONS", "conversations",
            [
                .init("CONVERSATION", "conversation"), .init("KIND", "kind", importance: 3),
                .init("ROLE", "role", importance: 2), .init("HEAD", "head", .number, importance: 6),
                .init("READ", "read_cursor", .number, importance: 5),
                .init("DELIVERED", "delivered_cursor", .number, importance: 4),
                .init("UNREAD", "unread", .number, importance: 7),
                .init("UPDATED", "updated", importance: 1),
            ]), banSection,
    ]

    private static let nodeDetailColumns: [OperatorColumn] = [
        .init("NODE", "node"), .init("STATE", "state", .state), .init("HEALTH", "health"),
        .init("REASON", "reason"), .init("ADDRESS", "address"),
        .init("ADMIN ADDRESS", "admin_address"), .init("VERSION", "version"),
        .init("INCARNATION", "incarnation"), .init("STARTED", "started"),
        .init("UPTIME", "uptime", .seconds), .init("CONNECTIONS", "connections", .number),
        .init("USERS", "users", .number), .init("CONVERSATIONS", "conversations", .number),
        .init("SHARDS", "shards", .number), .init("IN/S", "in_s", .number),
        .init("OUT/S", "out_s", .number), .init("SLOW", "slow", .number),
        .init("PENDING", "pending", .bytes), .init("MAIL AGE", "mail_age", .milliseconds),
        .init("LOOP LAG P99", "loop_lag_p99", .milliseconds), .init("RSS", "rss", .bytes),
        .init("B/CONN", "b_conn", .bytes), .init("CPU", "cpu", .percent),
        .init("REDIS MODE", "redis_mode"), .init("REDIS SERVERS", "redis_servers", .list),
        .init("REDIS OUTAGE", "redis_outage"), .init("REDIS REBUILDS", "redis_rebuilds", .number),
    ]

    private static let settingColumns: [OperatorColumn] = [
        .init("NAME", "name"), .init("VALUE", "value"), .init("SOURCE", "source"),
    ]

    private static let nodeSections = [
        Section(
            "LOOPS", "loops",
            [
                .init("LOOP", "loop", .number), .init("ANSWERED", "answered", .flag),
                .init("REDIS", "redis", importance: 9),
                .init("CONNECTIONS", "connections", .number, importance: 8),
                .init("USERS", "users", .number, importance: 2),
                .init("CONVERSATIONS", "conversations", .number, importance: 3),
                .init("IN/S", "in_s", .number, importance: 5),
                .init("OUT/S", "out_s", .number, importance: 6),
                .init("SLOW", "slow", .number, importance: 4),
                .init("PENDING", "pending", .bytes, importance: 1),
                .init("LOOP LAG P99", "loop_lag_p99", .milliseconds, importance: 7),
            ]),
        Section("SETTINGS", "settings", settingColumns),
        Section("LIMITS", "limits", settingColumns),
    ]
}
