/// The pages of the manual: `confab(1)`, one page per subcommand, and `confab.json(5)`. They come
/// from the tables of the parser, like the help. `confab --man` prints them for packages.
public struct ManualPages: Sendable {
    private let table: CommandTable
    private let version: String
    private let date: String

    /// - Parameters:
    ///   - version: the version of the program.
    ///   - date: the date of the pages, `YYYY-MM-DD`; empty for none.
    public init(_ table: CommandTable, version: String, date: String) {
        self.table = table
        self.version = version
        self.date = date
    }

    private static let fileName = "confab.json.5"
    private static let overviewName = "confab.1"

    /// The file names of all pages, such as `confab-serve.1`.
    public static func names(_ table: CommandTable) -> [String] {
        [Self.overviewName] + table.all.map { Self.pageName(of: $0) + ".1" } + [Self.fileName]
    }

    /// The source of a page.
    ///
    /// - Returns: nil if there is no page of this name.
    public func page(_ name: String) -> String? {
        switch name {
        case Self.overviewName: return self.overview
        case Self.fileName: return self.configurationFile
        default:
            return self.table.all.first { Self.pageName(of: $0) + ".1" == name }.map(self.command)
        }
    }

    private static func pageName(of command: CommandSpec) -> String {
        "confab-" + command.name.map { $0 == " " ? "-" : String($0) }.joined()
    }

    private func start(_ name: String, section: Int, summary: String) -> RoffText {
        var text = RoffText(
            page: name, section: section, date: self.date, source: "Confab \(self.version)",
            manual: section == 1 ? "User Commands" : "File Formats")
        text.heading("Name")
        text.line("\(RoffText.literal(name)) \\- \(RoffText.prose(summary))")
        return text
    }

    // MARK: The program

    private var overview: String {
        var text = self.start("confab", section: 1, summary: "chat server and its commands")
        text.heading("Synopsis")
        text.line("\(RoffText.bold("confab")) \(RoffText.italic("SUBCOMMAND")) [OPTIONS]")
        text.heading("Description")
        text.paragraph(
            """
            Confab is a chat server, standalone or as a cluster of nodes. `confab serve` runs a \
            node. The other subcommands use, inspect and control nodes.
            """)
        text.paragraph("Each subcommand has a page of its own, such as `man confab-serve`.")
        text.heading("Subcommands")
        for (title, commands) in self.table.groups {
            text.subheading(title)
            for command in commands {
                let page = "\(RoffText.bold(Self.pageName(of: command)))(1)"
                text.item(page, Self.sentence(command.summary))
            }
        }
        text.heading("Options")
        text.item(RoffText.bold("-h, --help"), "List all subcommands.")
        text.item(RoffText.bold("--version"), "Print the version.")
        text.heading("Files")
        text.item(RoffText.italic("/etc/confab/confab.json"), "The settings of the service.")
        text.item(
            RoffText.italic("/etc/confab/jwt.secret"),
            "The secret that signs tokens. The package creates it; only root can read it.")
        text.item(
            RoffText.italic("/var/lib/confab"), "The database of the service, with all messages.")
        self.end(&text, seeAlso: "\(RoffText.bold("confab-serve"))(1), ")
        return text.text
    }

    private func end(_ text: inout RoffText, seeAlso: String) {
        text.heading("Exit status")
        for (status, meaning) in [
            ("0", "Done."), ("1", "Failed."), ("2", "Invalid usage."),
            ("3", "No answer from the cluster."),
        ] { text.item(RoffText.bold(status), meaning) }
        text.heading("See also")
        text.line("\(seeAlso)\(RoffText.bold("confab.json"))(5)")
    }

    // MARK: A subcommand

    private func command(_ command: CommandSpec) -> String {
        var text = self.start(
            Self.pageName(of: command), section: 1, summary: command.summary)
        text.heading("Synopsis")
        text.line(Self.synopsis(command))
        let options = command.options.filter {
            !$0.isSetting || $0.name == "config" || command.name == "serve"
        }
        if !command.notes.isEmpty {
            text.heading("Description")
            for note in command.notes { text.paragraph(note) }
        }
        if !command.arguments.isEmpty {
            text.heading("Arguments")
            for argument in command.arguments {
                text.item(RoffText.italic(argument.name), Self.sentence(argument))
            }
        }
        text.heading("Options")
        for (group, members) in Self.groups(options) {
            if group != "Help" || members.count < options.count { text.subheading(group) }
            for option in members { text.item(Self.term(option), Self.sentence(option)) }
        }
        if command.name == "serve" { Self.limits(&text) }
        if !command.examples.isEmpty {
            text.heading("Examples")
            for example in command.examples {
                text.paragraph(Self.sentence(example.meaning))
                text.code([example.command])
            }
        }
        self.end(&text, seeAlso: "\(RoffText.bold("confab"))(1), ")
        return text.text
    }

    /// The name of the program and of the subcommand in bold, the rest as in the help.
    private static func synopsis(_ command: CommandSpec) -> String {
        let name = "confab \(command.name)"
        return RoffText.bold(name) + RoffText.literal(String(command.usage.dropFirst(name.count)))
    }

    private static func groups(_ options: [OptionSpec]) -> [(String, [OptionSpec])] {
        var names: [String] = []
        for option in options where !names.contains(option.group) { names.append(option.group) }
        return names.map { name in (name, options.filter { $0.group == name }) }
    }

    private static func term(_ option: OptionSpec) -> String {
        if option.name == "help" { return RoffText.bold("-h, --help") }
        let name = RoffText.bold("--\(option.name)")
        return option.placeholder.isEmpty ? name : "\(name) \(RoffText.italic(option.placeholder))"
    }

    private static func sentence(_ option: OptionSpec) -> String {
        var text = self.sentence(option.help)
        if let standard = option.defaultText { text += " Default: \(standard)." }
        if let variable = option.environment { text += " Environment: `\(variable)`." }
        return text
    }

    private static func sentence(_ argument: CommandSpec.Argument) -> String {
        let choices =
            argument.choices.isEmpty
            ? "" : " One of: \(argument.choices.joined(separator: ", "))."
        return self.sentence(argument.help) + choices
    }

    /// The fragments of the help begin in lower case and have no full stop.
    private static func sentence(_ fragment: String) -> String {
        fragment.prefix(1).uppercased() + fragment.dropFirst() + "."
    }

    private static func limits(_ text: inout RoffText) {
        text.heading("Limits")
        text.paragraph(
            """
            `--limit NAME=VALUE` sets one of these limits. Seconds may have up to three decimals.
            """)
        for limit in LimitTable.all {
            text.item(
                RoffText.bold("\(limit.name)=\(limit.defaultText)"),
                "\(self.sentence(limit.help)) Range: \(limit.rangeText).")
        }
    }

    // MARK: The configuration file

    private var configurationFile: String {
        var text = self.start(
            "confab.json", section: 5, summary: "settings of a node of confab")
        text.heading("Description")
        text.paragraph(
            """
            The file of `confab serve --config FILE` is a JSON object. Each member is a setting \
            with the name of an option. An unknown member, a member that occurs twice and an \
            invalid value are errors: the node does not start.
            """)
        text.paragraph(
            """
            The command line and the environment override the file. SIGHUP reloads keys, \
            certificates, origins, limits and the log level; other settings need a restart. \
            `confab config check --config FILE` checks the file, and \
            `confab config show --config FILE` prints the effective settings.
            """)
        text.heading("Settings")
        let settings = ServeTable.options(self.table.stores)
        for (group, members) in Self.groups(settings.filter { $0.fileKey != nil }) {
            text.subheading(group)
            for option in members {
                var sentence = "\(Self.sentence(option.help))"
                if let standard = option.defaultText { sentence += " Default: \(standard)." }
                let type = MarkdownReference.type(of: option)
                text.item("\(RoffText.bold(option.name)): \(type)", sentence)
            }
        }
        Self.limits(&text)
        text.heading("Files")
        text.item(
            RoffText.italic("/etc/confab/confab.json"),
            "The settings of the service `confab.service`.")
        text.heading("Examples")
        text.code([
            "{",
            "  \"listen\": \"0.0.0.0:8080\",",
            "  \"store\": \"sqlite:/var/lib/confab/confab.db\",",
            "  \"origins\": [\"https://chat.example\"],",
            "  \"limit\": { \"connections\": 50000 }",
            "}",
        ])
        text.heading("See also")
        text.line(
            ["confab", "confab-serve", "confab-config-check"].map { "\(RoffText.bold($0))(1)" }
                .joined(separator: ", "))
        return text.text
    }
}
