/// The output of `--help`.
public enum HelpText {
    /// A longer term has a line of its own, so that it does not narrow all explanations.
    private static let termWidthLimit = 26

    /// The list of subcommands.
    public static func overview(_ table: CommandTable) -> String {
        let width = table.all.map(\.name.count).max() ?? 0
        let groups = table.groups.map { title, commands in
            let rows = commands.map { (term: $0.name, text: $0.summary) }
            return "\(title)\n\(TextLayout.columns(rows, termWidth: width))"
        }
        return """
            Confab: a chat server, standalone or as a cluster of nodes.

            Usage: confab SUBCOMMAND [OPTIONS]

            \(groups.joined(separator: "\n"))
            Try it
              # a node on http://127.0.0.1:8080, with its messages in ./confab.db
              confab serve
              # a token for alice, signed with the secret that this node has created
              confab token --sub alice --conversations '*' --database confab.db > alice.jwt
              # a chat in a terminal
              confab chat ws://127.0.0.1:8080/conversations/lobby/ --token-file alice.jwt

            `confab SUBCOMMAND --help` explains one, `confab --version` prints the version.
            Exit status: 0 done, 1 failed, 2 invalid usage, 3 no answer from the cluster.

            """
    }

    /// The subcommands that begin with the same word, such as `config`.
    static func text(ofFamily name: String, _ members: [CommandSpec]) -> String {
        "Usage: confab \(name) \(members.map(\.secondName).joined(separator: "|")) [OPTIONS]\n\n"
            + TextLayout.columns(members.map { (term: "confab \($0.name)", text: $0.summary) })
            + "\n`confab \(name) \(members[0].secondName) --help` explains one of them.\n"
    }

    /// One subcommand, with its options in groups.
    public static func text(of command: CommandSpec) -> String {
        var text = "confab \(command.name): \(command.summary)\n\nUsage: \(command.usage)\n"
        let arguments = command.arguments.map { (term: $0.name, text: $0.help) }
        // Only the help of `serve` explains its settings. Other subcommands that accept them refer
        // to it in a note.
        let options = command.options.filter {
            !$0.isSetting || $0.name == "config" || command.name == "serve"
        }
        let widths = arguments.map(\.term.count) + options.map { self.row($0).term.count }
        let termWidth = min(widths.max() ?? 0, Self.termWidthLimit)
        if !arguments.isEmpty {
            text += "\nArguments\n" + TextLayout.columns(arguments, termWidth: termWidth)
        }
        var groups: [String] = []
        for option in options where !groups.contains(option.group) { groups.append(option.group) }
        for group in groups {
            let rows = options.filter { $0.group == group }.map(self.row)
            text += "\n\(group)\n" + TextLayout.columns(rows, termWidth: termWidth)
        }
        if command.name == "serve" {
            text +=
                "\nLimits (--limit NAME=VALUE) with their defaults\n"
                + TextLayout.columns(LimitTable.all.map(self.row))
        }
        if !command.examples.isEmpty {
            text += "\nExamples\n"
            for example in command.examples {
                text += "  # \(example.meaning)\n  \(example.command)\n"
            }
        }
        for note in command.notes { text += "\n" + TextLayout.paragraph(note) }
        return text
    }

    private static func row(_ option: OptionSpec) -> (term: String, text: String) {
        let term =
            option.name == "help"
            ? "-h, --help" : "--\(option.name) \(option.placeholder)".trimmingEnd
        return (term, option.help + (option.defaultText.map { " [default: \($0)]" } ?? ""))
    }

    private static func row(_ limit: LimitSpec) -> (term: String, text: String) {
        ("\(limit.name)=\(limit.defaultText)", "\(limit.help) [\(limit.rangeText)]")
    }
}

extension String {
    fileprivate var trimmingEnd: String {
        var text = self
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }
}
