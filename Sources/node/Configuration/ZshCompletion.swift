/// The completion script for zsh: a function to put on the `fpath`, or to source.
struct ZshCompletion {
    let table: CommandTable

    var script: String {
        """
        #compdef confab
        # zsh completion for confab
        _confab() {
            local command="${words[2]}"
            if ((CURRENT == 2)); then
                local -a commands=(
        \(self.descriptions(of: self.table.topLevel))
                )
                _describe subcommand commands
                return
            fi
            shift words
            ((CURRENT -= 1))
            case "$command" in
        \(self.table.families.map(self.family).joined(separator: "\n"))
            esac
            case "$command" in
        \(self.table.all.map(self.arguments).joined(separator: "\n"))
            esac
        }
        if [[ "${funcstack[1]}" == _confab ]]; then
            _confab "$@"
        else
            compdef _confab confab
        fi

        """
    }

    private func descriptions(of commands: [(name: String, summary: String)]) -> String {
        commands.map { "                " + self.described($0.name, $0.summary) }
            .joined(separator: "\n")
    }

    private func described(_ name: String, _ summary: String) -> String {
        "\(name):\(self.escaped(summary))".singleQuoted
    }

    private func family(_ family: (name: String, members: [CommandSpec])) -> String {
        """
            \(family.name))
                if ((CURRENT == 2)); then
                    local -a commands=(
        \(self.descriptions(of: family.members.map { ($0.secondName, $0.summary) }))
                    )
                    _describe subcommand commands
                    return
                fi
                command="$command ${words[2]}"
                shift words
                ((CURRENT -= 1))
                ;;
        """
    }

    private func arguments(of command: CommandSpec) -> String {
        let specs = command.options.map(self.spec) + command.arguments.map(self.spec)
        return "    \(command.name.singleQuoted))\n        _arguments \\\n"
            + specs.map { "            " + $0.singleQuoted }.joined(separator: " \\\n")
            + "\n        ;;"
    }

    private func spec(_ option: OptionSpec) -> String {
        let start = (option.isRepeatable ? "*" : "") + "--" + option.name
        guard option.needsValue else { return "\(start)[\(self.escaped(option.help))]" }
        let action =
            switch ValueSuggestion(option) {
            case .nothing: " "
            case .files: "_files"
            case .words(let words): "(\(words.joined(separator: " ")))"
            case .prefixes(let words): "{compadd -S \"\" -- \(words.joined(separator: " "))}"
            }
        // After a second colon zsh expects an action, so colons are escaped.
        return
            "\(start)=[\(self.escaped(option.help))]:\(self.escaped(option.placeholder)):\(action)"
    }

    private func spec(_ argument: CommandSpec.Argument) -> String {
        let action = argument.choices.isEmpty ? " " : "(\(argument.choices.joined(separator: " ")))"
        let start = argument.isRepeatable ? "*:" : argument.isOptional ? "::" : ":"
        return "\(start)\(self.escaped(argument.name)):\(action)"
    }

    private func escaped(_ text: String) -> String {
        text.map { "[]:\\".contains($0) ? "\\\($0)" : String($0) }.joined()
    }
}
