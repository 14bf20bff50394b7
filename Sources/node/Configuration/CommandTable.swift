/// All subcommands, with the program's dialects and stores as values of their options.
public struct CommandTable: Sendable {
    let choices: DialectChoices
    let stores: StoreChoices
    public let all: [CommandSpec]
    let chat: CommandSpec
    let bench: CommandSpec

    public init(_ choices: DialectChoices, _ stores: StoreChoices) {
        self.choices = choices
        self.stores = stores
        self.chat = Self.chat(choices)
        self.bench = Self.bench(choices)
        self.all = Self.allButHelp(self.chat, self.bench, stores) + [Self.help]
    }

    private static func allButHelp(
        _ chat: CommandSpec, _ bench: CommandSpec, _ stores: StoreChoices
    ) -> [CommandSpec] {
        let settings = ServeTable.options(stores)
        return [self.serve(settings), self.token, chat, bench, self.copy]
            + OperatorVerb.all.filter(\.isCommand).map(\.command)
            + [self.configCheck(settings), self.configShow(settings), self.completion]
    }

    /// All subcommands, in the groups of the help.
    var groups: [(title: String, commands: [CommandSpec])] {
        func named(_ names: [String]) -> [CommandSpec] {
            self.all.filter { names.contains($0.name) }
        }
        let verbs = OperatorVerb.groups.map { title, verbs in (title, named(verbs.map(\.name))) }
        let grouped = Set(OperatorVerb.all.map(\.name))
        let others = self.all.filter { !grouped.contains($0.name) }
        let first = ["serve", "token", "chat", "bench", "copy"]
        return [("Run and use Confab", others.filter { first.contains($0.name) })] + verbs
            + [("Configuration and help", others.filter { !first.contains($0.name) })]
    }

    /// The names and summaries, which depend on no dialect and no store.
    static let withoutChoices = allButHelp(chat(.none), bench(.none), .none)

    /// The first words of the subcommands, without duplicates.
    static let topLevelNames = firstNames(withoutChoices) + [help.name]

    /// Summaries of the groups of subcommands with two words, by their first word.
    static let familySummaries = ["config": "check or show the settings of confab serve"]

    private static func firstNames(_ commands: [CommandSpec]) -> [String] {
        var names: [String] = []
        for command in commands {
            let first = String(command.name.prefix { $0 != " " })
            if !names.contains(first) { names.append(first) }
        }
        return names
    }

    func command(named name: String) -> CommandSpec? {
        self.all.first { $0.name == name }
    }

    static let helpOption = OptionSpec.client("help", .flag, "", in: "Help", "show this help")

    private static func serve(_ settings: [OptionSpec]) -> CommandSpec {
        CommandSpec(
            "serve", "run a node",
            options: settings + [helpOption],
            examples: [
                .init("confab serve", "on loopback, with messages in ./confab.db"),
                .init(
                    "confab serve --listen 0.0.0.0:8080 --store sqlite:/var/lib/confab/chat.db",
                    "on all interfaces"),
                .init(
                    "confab serve --store memory: --limit messages-per-second=500",
                    "for a test, in memory"),
            ],
            notes: [
                """
                Every option is also an environment variable (--log-level is CONFAB_LOG_LEVEL; \
                --admin is CONFAB_ADMIN_LISTEN) and a setting in the file of --config \
                ({"log-level": "debug"}). The command line overrides the environment, and the \
                environment overrides the file. `confab config show` prints the effective settings.
                """,
                """
                Without a key option, the first start creates a secret next to the database. With \
                Redis, nodes need --jwt-secret-file, --jwt-public-key-file or --jwks-file, and \
                --cluster-key-file where there is no --jwt-secret-file.
                """,
                """
                --origins lists origins such as https://chat.example, capacitor://localhost, null \
                or https://*.example.org, separated by commas; * allows every page, and none \
                allows no page. --trusted-proxies lists addresses and networks such as \
                10.0.0.0/8, or loopback, or none. Without --public-url, links use the host of the \
                request, if it is checked.
                """,
                """
                SIGTERM drains the node and exits; a second one stops it at once. SIGHUP reloads \
                keys, certificates, origins, limits and the log level.
                """,
            ])
    }

    static let token = CommandSpec(
        "token", "print a token (JWT) for a user",
        options: TokenTable.bindings.map(\.spec) + [helpOption],
        examples: [
            .init(
                """
                confab token --sub alice --username Alice --conversations '*' --database confab.db
                """,
                "for every conversation"),
            .init(
                "confab token --sub bot --conversations lobby,42 --ttl 7d --secret-file jwt.secret",
                "for two conversations"),
        ])

    private static func chat(_ choices: DialectChoices) -> CommandSpec {
        CommandSpec(
            "chat", "chat in a terminal",
            arguments: [
                .init(
                    "URL",
                    "the server, or one of its conversations, as a URL of any protocol")
            ],
            options: ChatTable.bindings(choices).map(\.spec) + [helpOption],
            examples: [
                .init(
                    "confab chat ws://127.0.0.1:8080/conversations/lobby/ --token-file alice.jwt",
                    "join the lobby as alice"),
                .init(
                    """
                    confab chat --dialect pets ws://127.0.0.1:8080 --conversation lobby \
                    --token-file bob.jwt
                    """,
                    "the same lobby over another protocol"),
                .init(
                    "confab chat --dialect chats ws://127.0.0.1:8080 --name Carol",
                    "create a chat, without a token"),
                .init(
                    """
                    confab chat 'ws://127.0.0.1:8080/v1/ws?channel_id=lobby&after=0' --token-file \
                    bot.jwt
                    """,
                    "a channel, from its first message on"),
            ],
            notes: [
                """
                Lines are sent as they are typed, or read from a pipe. Messages are written to \
                standard output, and everything else to standard error. /help lists the commands \
                of the protocol. After a connection loss the client reconnects: missed messages \
                are shown once, and unanswered lines are sent again.
                """,
                """
                The token comes from --token-file, --token, CONFAB_TOKEN or the URL. Other users \
                of this machine can see --token; prefer --token-file. Pets, chats and rooms work \
                without a token if the server allows anonymous users.
                """,
                """
                Without --conversation, chats creates a conversation, and agents uses its inbox.
                """,
            ])
    }

    private static func bench(_ choices: DialectChoices) -> CommandSpec {
        CommandSpec(
            "bench", "generate load, and check every delivery",
            arguments: [
                .init(
                    "SCENARIO",
                    "the kind of load, see below",
                    choices: BenchOptions.Scenario.allCases.map(\.rawValue)),
                .init(
                    "URL",
                    "the server; several servers share every conversation",
                    isRepeatable: true),
            ],
            options: BenchTable.bindings(choices).map(\.spec) + [helpOption],
            examples: [
                .init(
                    """
                    confab bench broadcast ws://127.0.0.1:8080 --connections 1000 --rate 50 \
                    --secret-file jwt.secret
                    """,
                    "50,000 deliveries per second"),
                .init(
                    """
                    confab bench groups ws://a:8080 ws://b:8080 --secret-file jwt.secret --redis \
                    redis://r
                    """,
                    "two nodes and their Redis"),
            ],
            notes: [
                """
                broadcast: one conversation with all connections; groups: many conversations; \
                idle: idle connections; connect: only connects; send: one sender per conversation, \
                which sends again when its message is answered.
                """,
                """
                --adapter selects the protocol: \(choices.adapterList).
                """,
                """
                Several servers share every conversation equally, and the first has the \
                publishers. --server-pid may list several processes, separated by commas.
                """,
            ])
    }

    static let copy = CommandSpec(
        "copy", "copy a SQLite database into Redis",
        options: CopyTable.bindings.map(\.spec) + [helpOption],
        examples: [
            .init(
                "confab copy --from sqlite:confab.db --to redis://127.0.0.1 --dry-run",
                "check both stores, and count"),
            .init("confab copy --from sqlite:confab.db --to redis://127.0.0.1", "copy"),
        ],
        notes: [
            """
            No node may run on either store. Clients resume afterwards with the numbers and \
            revisions that they know. After an interruption, the same command continues; until \
            the copy is complete, no node joins the cluster.
            """,
            """
            Copied are conversations with members, cursors and retained messages, bans, and the \
            numbers of users; not the events of operators. Give the nodes the same --history, \
            --cluster-name and keys.
            """,
        ])

    private static func configCheck(_ settings: [OptionSpec]) -> CommandSpec {
        CommandSpec(
            "config check", "check whether `confab serve` would start",
            options: settings + [helpOption],
            examples: [
                .init("confab config check --config confab.json", "exit status 0: it would start")
            ],
            notes: [
                """
                Accepts the options, the environment and the file of `confab serve`; see \
                confab serve --help.
                """
            ])
    }

    private static func configShow(_ settings: [OptionSpec]) -> CommandSpec {
        CommandSpec(
            "config show", "print the effective settings and their sources",
            options: settings + [outputOption, helpOption],
            examples: [.init("confab config show --config confab.json", "one line per setting")],
            notes: [
                """
                Accepts the options, the environment and the file of `confab serve`; see \
                confab serve --help.
                """
            ])
    }

    static let outputOption = OptionSpec.client(
        "output", .choice(OutputFormat.allCases.map(\.rawValue)), "text|json", default: "text",
        in: "Output", "a table, or a JSON document"
    )

    static let completion = CommandSpec(
        "completion", "print a shell completion script",
        arguments: [.init("SHELL", "bash, zsh or fish", choices: Shell.allCases.map(\.rawValue))],
        options: [helpOption],
        examples: [
            .init("confab completion bash > /etc/bash_completion.d/confab", "for bash"),
            .init("confab completion zsh > \"${fpath[1]}/_confab\"", "for zsh"),
            .init("confab completion fish > ~/.config/fish/completions/confab.fish", "for fish"),
        ])

    static let help = CommandSpec(
        "help", "explain a subcommand",
        arguments: [
            .init(
                "SUBCOMMAND", "the subcommand; without it, list all",
                choices: firstNames(withoutChoices),
                isOptional: true),
            .init("SECOND-WORD", "the second word, for config", isOptional: true),
        ],
        options: [helpOption])
}
