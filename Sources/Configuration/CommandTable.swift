/// All subcommands.
public enum CommandTable {
    public static let all: [CommandSpec] = allButHelp + [help]

    private static let allButHelp =
        [serve, token, chat, bench] + operatorCommands + [configCheck, configShow, completion]

    /// The first words of the subcommands, each once.
    static let topLevelNames = firstNames(allButHelp) + [help.name]

    /// What the subcommands of two words do that begin with the same one.
    static let familySummaries = ["config": "check or show the settings of confab serve"]

    private static func firstNames(_ commands: [CommandSpec]) -> [String] {
        var names: [String] = []
        for command in commands {
            let first = String(command.name.prefix { $0 != " " })
            if !names.contains(first) { names.append(first) }
        }
        return names
    }

    static func command(named name: String) -> CommandSpec? {
        self.all.first { $0.name == name }
    }

    static let helpOption = OptionSpec.client("help", .flag, "", in: "Help", "show this")

    static let serve = CommandSpec(
        "serve", "run a node",
        options: ServeTable.options + [helpOption],
        examples: [
            .init("confab serve", "on this machine only, messages in ./confab.db"),
            .init(
                "confab serve --listen 0.0.0.0:8080 --store sqlite:/var/lib/confab/chat.db",
                "for the network"),
            .init(
                "confab serve --store memory: --limit messages-per-second=500",
                "for a test: keeps nothing"),
        ],
        notes: [
            "Every option is also an environment variable (--log-level is CONFAB_LOG_LEVEL; --admin is CONFAB_ADMIN_LISTEN) and a "
                + "setting in the file of --config ({\"log-level\": \"debug\"}). The command line wins over the environment, "
                + "that over the file. `confab config show` says what is in force and why.",
            "SIGTERM drains and exits, a second one stops at once; SIGHUP reads keys, certificates, origins, limits and the log "
                + "level again.",
        ])

    static let token = CommandSpec(
        "token", "print a token (JWT) for a user",
        options: TokenTable.bindings.map(\.spec) + [helpOption],
        examples: [
            .init(
                "confab token --sub alice --username Alice --conversations '*' --database confab.db",
                "for every conversation"),
            .init(
                "confab token --sub bot --conversations lobby,42 --ttl 7d --secret-file jwt.secret",
                "for two of them"),
        ])

    static let chat = CommandSpec(
        "chat", "talk in a terminal",
        arguments: [
            .init(
                "URL",
                "the server, or a conversation of its: ws://127.0.0.1:8080/conversations/lobby/; any protocol's URL does for all of them"
            )
        ],
        options: ChatTable.bindings.map(\.spec) + [helpOption],
        examples: [
            .init(
                "confab chat ws://127.0.0.1:8080/conversations/lobby/ --token-file alice.jwt",
                "enter the lobby as alice"),
            .init(
                "confab chat --dialect pets ws://127.0.0.1:8080 --conversation lobby --token-file bob.jwt",
                "the same lobby in another protocol"),
            .init(
                "confab chat --dialect chats ws://127.0.0.1:8080 --name Carol",
                "make a chat, without a token"),
            .init(
                "confab chat 'ws://127.0.0.1:8080/v1/ws?channel_id=lobby&after=0' --token-file bot.jwt",
                "a channel from its first message on"),
        ],
        notes: [
            "Lines are sent as they are typed, or read from a pipe; what is said comes out on standard output, all else on standard "
                + "error. /help lists the commands that the protocol has. A connection that breaks is made again: what was missed is shown "
                + "once, and a line that was not answered is sent again.",
            "The token comes from --token-file, --token, the variable CONFAB_TOKEN or the URL. Pets, chats and rooms do without one where "
                + "the server lets strangers in.",
        ])

    static let bench = CommandSpec(
        "bench", "make load, count every delivery, find loss and disorder",
        arguments: [
            .init(
                "SCENARIO",
                "broadcast: all hear one; groups: many conversations; idle: only connected; connect: come and go; "
                    + "send: how fast sends are answered",
                choices: BenchOptions.BenchScenario.allCases.map(\.rawValue)),
            .init(
                "URL",
                "the server: ws://127.0.0.1:8080; of several each gets its part of every conversation, the first the publishers",
                isRepeatable: true),
        ],
        options: BenchTable.bindings.map(\.spec) + [helpOption],
        examples: [
            .init(
                "confab bench broadcast ws://127.0.0.1:8080 --connections 1000 --rate 50 --secret-file jwt.secret",
                "50,000 deliveries a second"),
            .init(
                "confab bench groups ws://a:8080 ws://b:8080 --secret-file jwt.secret --redis redis://r",
                "two nodes and their Redis"),
        ])

    static let configCheck = CommandSpec(
        "config check", "say whether `confab serve` would start with these settings",
        options: ServeTable.options + [helpOption],
        examples: [.init("confab config check --config confab.json", "exit status 0: it would")],
        notes: [
            "It takes the options, the environment and the file that `confab serve` takes; see confab serve --help."
        ])

    static let configShow = CommandSpec(
        "config show", "print the settings in force and where each comes from",
        options: ServeTable.options + [outputOption, helpOption],
        examples: [.init("confab config show --config confab.json", "one line for each setting")],
        notes: [
            "It takes the options, the environment and the file that `confab serve` takes; see confab serve --help."
        ])

    static let outputOption = OptionSpec.client(
        "output", .choice(OutputFormat.allCases.map(\.rawValue)), "text|json", default: "text",
        in: "Output", "a table or one JSON document"
    )

    static let completion = CommandSpec(
        "completion", "print a script that completes confab's command line",
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
                "SUBCOMMAND", "which one; without it, all of them", choices: firstNames(allButHelp),
                isOptional: true),
            .init("SECOND-WORD", "of a subcommand that has two", isOptional: true),
        ],
        options: [helpOption])
}
