/// The completion script for fish.
struct FishCompletion {
    let table: CommandTable

    var script: String {
        var lines = ["# fish completion for confab", "complete -c confab -f"]
        for command in self.table.topLevel {
            lines.append(
                """
                complete -c confab -n __fish_use_subcommand -a \(command.name) -d \
                \(self.quoted(command.summary))
                """
            )
        }
        lines.append(
            """
            complete -c confab -n __fish_use_subcommand -l help -d \
            \(self.quoted(CommandTable.helpOption.help))
            """
        )
        lines.append(
            "complete -c confab -n __fish_use_subcommand -l version -d 'print the version'")
        for family in self.table.families {
            let names = family.members.map(\.secondName).joined(separator: " ")
            let condition =
                """
                __fish_seen_subcommand_from \(family.name); and not __fish_seen_subcommand_from \
                \(names)
                """
            for member in family.members {
                lines.append(
                    """
                    complete -c confab -n \(self.quoted(condition)) -a \(member.secondName) -d \
                    \(self.quoted(member.summary))
                    """
                )
            }
        }
        for command in self.table.all { lines += self.lines(for: command) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func lines(for command: CommandSpec) -> [String] {
        let condition = self.quoted(
            command.name.split(separator: " ").map { "__fish_seen_subcommand_from \($0)" }.joined(
                separator: "; and "))
        let start = "complete -c confab -n \(condition)"
        var lines = command.options.map { option in
            "\(start) -l \(option.name)\(self.value(of: option)) -d \(self.quoted(option.help))"
        }
        if !command.argumentChoices.isEmpty {
            lines.append(
                "\(start) -a \(self.quoted(command.argumentChoices.joined(separator: " ")))")
        }
        return lines
    }

    private func value(of option: OptionSpec) -> String {
        if !option.needsValue { return "" }
        return switch ValueSuggestion(option) {
        case .nothing: " -x"
        case .files: " -r -F"
        case .words(let words), .prefixes(let words):
            " -x -a \(self.quoted(words.joined(separator: " ")))"
        }
    }

    /// Inside single quotes fish has two escapes.
    private func quoted(_ text: String) -> String {
        "'" + text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "'"
    }
}
