/// The completion script for bash 4 and later. It does not need the package `bash-completion`.
struct BashCompletion {
    let table: CommandTable

    var script: String {
        """
        # bash completion for confab
        _confab() {
            local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"
            # Bash splits --name=value into three words.
            if [[ $current == "=" ]]; then
                current=""
            elif [[ $previous == "=" ]] && ((COMP_CWORD > 1)); then
                previous="${COMP_WORDS[COMP_CWORD - 2]}"
            fi
            local command="" word words=""
            for word in "${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
                [[ $word == -* ]] && continue
                case "$command" in
                "") command="$word" ;;
        \(self.families)
                esac
            done
            COMPREPLY=()
            case "$command $previous" in
        \(self.values)
            esac
            case "$command" in
        \(self.commands)
            esac
            COMPREPLY=($(compgen -W "$words" -- "$current"))
        }
        complete -F _confab confab

        """
    }

    private var families: String {
        self.table.families.map { "        \($0.name)) command=\"$command $word\" ;;" }.joined(
            separator: "\n")
    }

    private var values: String {
        self.table.all.flatMap { command in
            command.options.filter(\.needsValue).map { option in
                "    \"\(command.name) --\(option.name)\")\n"
                    + self.action(for: ValueSuggestion(option)) + "        return\n        ;;"
            }
        }.joined(separator: "\n")
    }

    private func action(for suggestion: ValueSuggestion) -> String {
        switch suggestion {
        case .nothing:
            ""
        case .files:
            """
                    compopt -o filenames
                    mapfile -t COMPREPLY < <(compgen -f -- "$current")

            """
        case .words(let words):
            """
                    COMPREPLY=($(compgen -W "\(words.joined(separator: " "))" -- "$current"))

            """
        case .prefixes(let words):
            """
                    compopt -o nospace
                    COMPREPLY=($(compgen -W "\(words.joined(separator: " "))" -- "$current"))

            """
        }
    }

    private var commands: String {
        let names = CommandTable.topLevelNames.joined(separator: " ")
        var lines = ["    \"\") words=\"\(names) --help --version\" ;;"]
        for family in self.table.families {
            let names = family.members.map(\.secondName).joined(separator: " ")
            lines.append("    \(family.name)) words=\"\(names)\" ;;")
        }
        for command in self.table.all {
            let words = command.argumentChoices + command.options.map { "--" + $0.name }
            lines.append("    \"\(command.name)\") words=\"\(words.joined(separator: " "))\" ;;")
        }
        return lines.joined(separator: "\n")
    }
}
