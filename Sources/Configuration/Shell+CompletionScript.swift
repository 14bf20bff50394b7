extension Shell {
    /// A script that completes confab's command line in this shell.
    public var completionScript: String {
        switch self {
        case .bash: BashCompletion.script
        case .zsh: ZshCompletion.script
        case .fish: FishCompletion.script
        }
    }
}

extension String {
    /// The text as one word of a POSIX shell or zsh.
    var singleQuoted: String {
        "'" + self.map { $0 == "'" ? "'\\''" : String($0) }.joined() + "'"
    }
}

/// What completion offers behind an option.
enum ValueSuggestion {
    case nothing
    case files
    case words([String])
    /// Words behind which more is typed.
    case prefixes([String])

    init(_ option: OptionSpec) {
        switch option.form {
        case .file, .files: self = .files
        case .limits: self = .prefixes(LimitTable.all.map { $0.name + "=" })
        case .text where option.name == "store":
            self = .prefixes([
                "memory:", "sqlite:", "redis://", "redis+sentinel://", "redis+cluster://",
            ])
        case _ where !option.choices.isEmpty: self = .words(option.choices)
        default: self = .nothing
        }
    }
}

extension CommandTable {
    /// The subcommands of two words, by their first.
    static var families: [(name: String, members: [CommandSpec])] {
        self.topLevelNames.compactMap { name in
            let members = self.all.filter { $0.name.hasPrefix(name + " ") }
            return members.isEmpty ? nil : (name, members)
        }
    }

    /// First words with what completion says of them.
    static var topLevel: [(name: String, summary: String)] {
        self.topLevelNames.map { name in
            (name, self.command(named: name)?.summary ?? self.familySummaries[name] ?? "")
        }
    }
}

extension CommandSpec {
    /// The second word of a subcommand of two.
    var secondName: String {
        String(self.name.drop { $0 != " " }.dropFirst())
    }

    /// The words that its arguments may be.
    var argumentChoices: [String] {
        self.arguments.flatMap(\.choices)
    }
}
