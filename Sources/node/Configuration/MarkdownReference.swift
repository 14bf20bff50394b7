/// The reference of the command line as a Markdown document, generated from the parser's tables.
public enum MarkdownReference {
    public static func markdown(_ table: CommandTable) -> String {
        var text = """
            # Reference of the command line

            Confab has one binary, `confab`. This page is generated from the same tables as
            `confab SUBCOMMAND --help`. Options may come before or after arguments, as
            `--name value` or `--name=value`; `--` ends them. An unknown option, an invalid value or
            an unreadable file produces one line on standard error and exit status 2.

            | subcommand | purpose |
            |---|---|

            """
        for command in table.all {
            text +=
                self.row([
                    "[`confab \(command.name)`](#\(self.anchor(of: command)))",
                    self.cell(command.summary),
                ])
        }
        for command in table.all { text += "\n" + self.section(command) }
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
        // The settings of `serve` are in its own table only.
        let own = command.name == "serve" ? options : options.filter { !$0.isSetting }
        if own.contains(where: \.isSetting) {
            text += self.settings(own)
        } else if !own.isEmpty {
            text += "\n| option | default | meaning |\n|---|---|---|\n"
            for option in own {
                text +=
                    self.row([self.term(option), self.defaultCell(option), self.cell(option.help)])
            }
        }
        for note in command.notes {
            text += "\n" + TextLayout.lines(note, width: 100).joined(separator: "\n") + "\n"
        }
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
                self.row([
                    self.term(option), environment, key, self.defaultCell(option),
                    self.cell(option.help),
                ])
        }
        return text + """

            In environment variables, list items are separated by commas
            (`CONFAB_LIMIT=idle-seconds=90,connections=500`), and an empty variable counts as unset.
            The file is a JSON object; an unknown setting in it is an error. Limits of all three
            sources are merged by name. For other settings only the strongest source counts.

            """
    }

    private static func limits() -> String {
        var text =
            "\n### Limits\n\n`--limit NAME=VALUE`; seconds may have up to three decimals.\n\n"
        text += "| limit | default | range | meaning |\n|---|---|---|---|\n"
        for limit in LimitTable.all {
            text +=
                self.row([
                    "`\(limit.name)`", limit.defaultText, limit.rangeText, self.cell(limit.help),
                ])
        }
        return text + """

            A default limit adapts to an explicit one: with `idle-seconds=20` the server pings every
            10 seconds. Two explicit limits must fit each other.

            """
    }

    private static func row(_ cells: [String]) -> String {
        "| " + cells.joined(separator: " | ") + " |\n"
    }

    private static func term(_ option: OptionSpec) -> String {
        "`--\(option.name)\(option.placeholder.isEmpty ? "" : " " + self.cell(option.placeholder))`"
    }

    private static func defaultCell(_ option: OptionSpec) -> String {
        guard let text = option.defaultText else { return "" }
        return text.contains(" ") || text == "loopback" ? text : "`\(text)`"
    }

    static func type(of option: OptionSpec) -> String {
        switch option.form {
        case .flag, .toggle: "boolean"
        case .number, .optionalNumber: "number"
        case .text, .file, .choice: "string"
        case .list, .files: "array of strings"
        case .limits: "object of numbers"
        }
    }

    /// Escapes bars, which would end the cell.
    private static func cell(_ text: String) -> String {
        text.map { $0 == "|" ? "\\|" : String($0) }.joined()
    }
}
