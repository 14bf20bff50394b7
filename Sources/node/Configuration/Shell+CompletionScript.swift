extension Shell {
    /// The completion script for this shell.
    public func completionScript(_ table: CommandTable) -> String {
        switch self {
        case .bash: BashCompletion(table: table).script
        case .zsh: ZshCompletion(table: table).script
        case .fish: FishCompletion(table: table).script
        }
    }
}

extension String {
    /// The text quoted as one word for a POSIX shell or zsh.
    var singleQuoted: String {
        "'" + self.map { $0 == "'" ? "'\\''" : String($0) }.joined() + "'"
    }

    /// The text as one word of a command that a user may copy: quoted only where a shell would not
    /// take it literally.
    public var shellWord: String {
        let isPlain = self.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "/"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "@"):
                true
            default: false
            }
        }
        return isPlain && !self.isEmpty ? self : self.singleQuoted
    }
}

/// The suggestions for an option's value.
enum ValueSuggestion {
    case nothing
    case files
    case words([String])
    /// Prefixes that the user completes.
    case prefixes([String])

    init(_ option: OptionSpec) {
        switch option.form {
        case .file, .files: self = .files
        case .limits: self = .prefixes(LimitTable.all.map { $0.name + "=" })
        case .text where !option.prefixes.isEmpty: self = .prefixes(option.prefixes)
        case _ where !option.choices.isEmpty: self = .words(option.choices)
        default: self = .nothing
        }
    }
}

extension CommandTable {
    /// Subcommands of two words, grouped by the first word.
    var families: [(name: String, members: [CommandSpec])] {
        Self.topLevelNames.compactMap { name in
            let members = self.all.filter { $0.name.hasPrefix(name + " ") }
            return members.isEmpty ? nil : (name, members)
        }
    }

    /// The first words, with their summaries.
    var topLevel: [(name: String, summary: String)] {
        Self.topLevelNames.map { name in
            (name, self.command(named: name)?.summary ?? Self.familySummaries[name] ?? "")
        }
    }
}

extension CommandSpec {
    /// The second word of a subcommand with two words.
    var secondName: String {
        String(self.name.drop { $0 != " " }.dropFirst())
    }

    /// The allowed values of the arguments.
    var argumentChoices: [String] {
        self.arguments.flatMap(\.choices)
    }
}
