/// Writes the script for bash 4 and later; it needs no package `bash-completion`.
enum BashCompletion {
    static var script: String {
        """
        # bash completion for confab
        _confab() {
            local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"
            # Bash takes --name=value for three words.
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

    private static var families: String {
        CommandTable.families.map { "        \($0.name)) command=\"$command $word\" ;;" }.joined(
            separator: "\n")
    }

    private static var values: String {
        CommandTable.all.flatMap { command in
            command.options.filter(\.needsValue).map { option in
                "    \"\(command.name) --\(option.name)\")\n"
                    + self.action(for: ValueSuggestion(option)) + "        return\n        ;;"
            }
        }.joined(separator: "\n")
    }

    private static func action(for suggestion: ValueSuggestion) -> String {
        switch suggestion {
        case .nothing:
            ""
        case .files:
            "        compopt -o filenames\n        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
        case .words(let words):
            "        COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$current\"))\n"
        case .prefixes(let words):
            "        compopt -o nospace\n        COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$current\"))\n"
        }
    }

    private static var commands: String {
        var lines = [
            "    \"\") words=\"\(CommandTable.topLevelNames.joined(separator: " ")) --help --version\" ;;"
        ]
        for family in CommandTable.families {
            lines.append(
                "    \(family.name)) words=\"\(family.members.map(\.secondName).joined(separator: " "))\" ;;"
            )
        }
        for command in CommandTable.all {
            let words = command.argumentChoices + command.options.map { "--" + $0.name }
            lines.append("    \"\(command.name)\") words=\"\(words.joined(separator: " "))\" ;;")
        }
        return lines.joined(separator: "\n")
    }
}
