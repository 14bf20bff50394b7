/// The reference of the command line as a Markdown document, from the tables that the parser reads.
public enum MarkdownReference {
    /// The whole document.
    public static func markdown() -> String {
        var text = """
            # Reference of the command line

            One binary, `confab`. `confab SUBCOMMAND --help` says the same as this page. Options stand before or after
            arguments, as `--name value` or `--name=value`; `--` ends them. An unknown option, a bad value or an unreadable file is
            one line on standard error and exit status 2.

            | subcommand | what it does |
            |---|---|

            """
        for command in CommandTable.all {
            text +=
                "| [`confab \(command.name)`](#\(self.anchor(of: command))) | \(self.cell(command.summary)) |\n"
        }
        for command in CommandTable.all { text += "\n" + self.section(command) }
        return text
    }

    private static func anchor(of command: CommandSpec) -> String {
        ("confab " + command.name).map { $0 == " " ? "-" : String($0) }.joined()
    }

    private static func section(_ command: CommandSpec) -> String {
        var text =
            "## confab \(command.name)\n\n`\(command.usage)`: \(self.cell(command.summary)).\n"
        let arguments = command.arguments.filter { !$0.help.isEmpty }
        if !arguments.isEmpty {
            text += "\n| argument | meaning |\n|---|---|\n"
            for argument in arguments {
                text += "| `\(argument.name)` | \(self.cell(argument.help)) |\n"
            }
        }
        let options = command.options.filter { $0.name != "help" }
        // Those of serve are in its own table.
        let own = command.name == "serve" ? options : options.filter { !$0.isSetting }
        if own.contains(where: \.isSetting) {
            text += self.settings(own)
        } else if !own.isEmpty {
            text += "\n| option | default | meaning |\n|---|---|---|\n"
            for option in own {
                text +=
                    "| \(self.term(option)) | \(self.defaultCell(option)) | \(self.cell(option.help)) |\n"
            }
        }
        for note in command.notes { text += "\n\(note)\n" }
        if command.name == "serve" { text += self.limits() }
        if !command.examples.isEmpty {
            text +=
                "\n```sh\n" + command.examples.map { "\($0.command)  # \($0.meaning)\n" }.joined()
                + "```\n"
        }
        return text
    }

    private static func settings(_ options: [OptionSpec]) -> String {
        var text =
            "\n| option | environment | in a file | default | meaning |\n|---|---|---|---|---|\n"
        for option in options {
            let environment = option.environment.map { "`\($0)`" } ?? ""
            let key = option.fileKey.map { "`\($0)`: \(self.type(of: option))" } ?? ""
            text +=
                "| \(self.term(option)) | \(environment) | \(key) | \(self.defaultCell(option)) | \(self.cell(option.help)) |\n"
        }
        return text + """

            In the environment lists have commas between their items (`CONFAB_LIMIT=idle-seconds=90,connections=500`), and an empty
            variable counts as none. A file is a JSON object; an unknown setting in it is an error. Limits of all three sources
            count, each by its name; of every other setting only the strongest source's value.

            """
    }

    private static func limits() -> String {
        var text =
            "\n### Limits\n\n`--limit NAME=VALUE`; seconds may have up to three digits behind a point.\n\n"
        text += "| limit | default | from, to | bounds |\n|---|---|---|---|\n"
        for limit in LimitTable.all {
            text +=
                "| `\(limit.name)` | \(limit.defaultText) | \(limit.rangeText) | \(self.cell(limit.help)) |\n"
        }
        return text + """

            A default gives way to what is set: with `idle-seconds=20` the server pings every 10 seconds. Two limits that are both
            set must fit each other.

            """
    }

    private static func term(_ option: OptionSpec) -> String {
        "`--\(option.name)\(option.placeholder.isEmpty ? "" : " " + self.cell(option.placeholder))`"
    }

    private static func defaultCell(_ option: OptionSpec) -> String {
        guard let text = option.defaultText else { return "" }
        return text.contains(" ") || text == "loopback" ? text : "`\(text)`"
    }

    private static func type(of option: OptionSpec) -> String {
        switch option.form {
        case .flag, .toggle: "boolean"
        case .number, .optionalNumber: "number"
        case .text, .file, .choice: "string"
        case .list, .files: "array of strings"
        case .limits: "object of numbers"
        }
    }

    /// A bar ends a cell, a star begins emphasis.
    private static func cell(_ text: String) -> String {
        text.map { $0 == "|" ? "\\|" : String($0) }.joined()
    }
}
