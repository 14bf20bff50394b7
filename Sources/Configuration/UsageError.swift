/// Why a command line, an environment or a configuration file is not understood: one line, for which the process
/// exits with status 2.
public enum UsageError: Error, Sendable, Equatable, CustomStringConvertible {
    case noCommand
    case unknownCommand(String, suggestion: String?)
    case unknownOption(String, command: String?, suggestion: String?)
    case missingValue(option: String, placeholder: String)
    case unexpectedValue(option: String)
    case unexpectedArgument(String, command: String, suggestion: String?)
    case missingArgument(String, command: String)
    /// `name` is where the value stands: an option, a variable, a file and its key.
    case badValue(name: String, problem: String)
    case unknownKey(file: String, key: String, suggestion: String?)
    case badFile(String, problem: String)
    /// Values that are good alone and not together, or that are missing.
    case conflict(String)

    public static let exitStatus: Int32 = 2

    /// The line for standard error.
    public var description: String {
        "confab: " + self.reason
    }

    /// What is wrong, for a log that says itself who says it.
    public var reason: String {
        switch self {
        case .noCommand:
            "a subcommand is missing: \(CommandTable.topLevelNames.joined(separator: ", ")); see confab --help"
        case .unknownCommand(let name, let suggestion):
            "\(name.quoted) is no subcommand\(Self.hint(suggestion))"
        case .unknownOption(let option, let command, let suggestion):
            "\(option.escaped): no such option\(Self.hint(suggestion, command))"
        case .missingValue(let option, let placeholder):
            "\(option) needs a value: \(option) \(placeholder)"
        case .unexpectedValue(let option):
            "\(option) takes no value"
        case .unexpectedArgument(let argument, let command, let suggestion):
            "\(command): \(argument.quoted) is one argument too many\(Self.hint(suggestion, command))"
        case .missingArgument(let name, let command):
            "\(command): \(name) is missing; see confab \(command) --help"
        case .badValue(let name, let problem):
            "\(name): \(problem)"
        case .unknownKey(let file, let key, let suggestion):
            "\(file.escaped): \(key.quoted) is no setting\(Self.hint(suggestion, "serve"))"
        case .badFile(let path, let problem):
            "\(path.escaped): \(problem)"
        case .conflict(let sentence):
            sentence
        }
    }

    private static func hint(_ suggestion: String?, _ command: String? = nil) -> String {
        if let suggestion { return "; did you mean \(suggestion)?" }
        return "; see confab \(command.map { $0 + " " } ?? "")--help"
    }
}

/// What is wrong with a value, in words that follow its name: `"abc" is no HOST:PORT`.
struct ValueProblem: Error, Equatable {
    let reason: String

    init(_ words: String) {
        self.reason = words
    }
}

extension String {
    /// The text between quotation marks.
    var quoted: String { "\"\(self.escaped)\"" }

    /// The text as it may stand in a line of a message: without what would end the line, and not too long.
    var escaped: String {
        var text = ""
        for scalar in self.unicodeScalars {
            if text.utf8.count > 80 { return text + "…" }
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                text += "\\u{\(String(scalar.value, radix: 16))}"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
