/// The specification of a subcommand. The parser, the help, the completion and the reference use
/// it.
public struct CommandSpec: Sendable, Equatable {
    /// A positional argument: `URL`, or one of a few words.
    public struct Argument: Sendable, Equatable {
        public let name: String
        public let help: String
        /// The allowed values; empty when any value is allowed.
        public let choices: [String]
        public let isOptional: Bool
        /// Whether it may occur more than once. Only the last argument of a subcommand may.
        public let isRepeatable: Bool

        init(
            _ name: String, _ help: String, choices: [String] = [], isOptional: Bool = false,
            isRepeatable: Bool = false
        ) {
            self.name = name
            self.help = help
            self.choices = choices
            self.isOptional = isOptional
            self.isRepeatable = isRepeatable
        }
    }

    public struct Example: Sendable, Equatable {
        public let command: String
        public let meaning: String

        init(_ command: String, _ meaning: String) {
            self.command = command
            self.meaning = meaning
        }
    }

    /// `serve`, `config show`.
    public let name: String
    /// One line.
    public let summary: String
    public let arguments: [Argument]
    public let options: [OptionSpec]
    public let examples: [Example]
    /// Paragraphs at the end of the help.
    public let notes: [String]

    init(
        _ name: String, _ summary: String, arguments: [Argument] = [], options: [OptionSpec] = [],
        examples: [Example] = [],
        notes: [String] = []
    ) {
        self.name = name
        self.summary = summary
        self.arguments = arguments
        self.options = options
        self.examples = examples
        self.notes = notes
    }

    func option(named name: String) -> OptionSpec? {
        self.options.first { $0.name == name }
    }

    /// `confab bench [OPTIONS] SCENARIO URL...`.
    public var usage: String {
        let arguments = self.arguments.map { argument in
            let word =
                argument.choices.isEmpty || argument.choices.count > 3
                ? argument.name : argument.choices.joined(separator: "|")
            let name = word + (argument.isRepeatable ? "..." : "")
            return argument.isOptional ? "[\(name)]" : name
        }
        return (["confab", self.name] + (self.options.isEmpty ? [] : ["[OPTIONS]"]) + arguments)
            .joined(separator: " ")
    }
}
