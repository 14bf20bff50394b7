/// An invalid command line, environment or configuration file. The process prints one line and
/// exits with status 2.
public enum UsageError: Error, Sendable, Equatable, CustomStringConvertible {
    case noCommand
    case unknownCommand(String, suggestion: String?)
    case unknownOption(String, command: String?, suggestion: String?)
    case missingValue(option: String, placeholder: String)
    case unexpectedValue(option: String)
    case unexpectedArgument(String, command: String, suggestion: String?)
    case missingArgument(String, command: String)
    /// `name` is where the value comes from: an option, a variable, or a file and its key.
    case badValue(name: String, problem: String)
    case unknownKey(file: String, key: String, suggestion: String?)
    case badFile(String, problem: String)
    /// Values that contradict each other, or that require a missing one.
    case conflict(String)

    public static let exitStatus: Int32 = 2

    /// The line for standard error.
    public var description: String {
        "confab: " + self.reason
    }

    /// The error without the prefix, for a log that names the program itself.
    public var reason: String {
        switch self {
        case .noCommand:
            "a subcommand is missing; see confab --help"
        case .unknownCommand(let name, let suggestion):
            "\(name.quoted) is not a subcommand\(Self.hint(suggestion))"
        case .unknownOption(let option, let command, let suggestion):
            "\(option.escaped): no such option\(Self.hint(suggestion, command))"
        case .missingValue(let option, let placeholder):
            "\(option) needs a value: \(option) \(placeholder)"
        case .unexpectedValue(let option):
            "\(option) takes no value"
        case .unexpectedArgument(let argument, let command, let suggestion):
            """
            \(command): \(argument.quoted) is one argument too many\(Self.hint(suggestion, command))
            """
        case .missingArgument(let name, let command):
            "\(command): \(name) is missing; see confab \(command) --help"
        case .badValue(let name, let problem):
            "\(name): \(problem)"
        case .unknownKey(let file, let key, let suggestion):
            "\(file.escaped): \(key.quoted) is not a setting\(Self.hint(suggestion, "serve"))"
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

/// An invalid value. The reason follows the value's name: `"abc" is not HOST:PORT`.
public struct ValueProblem: Error, Equatable {
    let reason: String

    public init(_ reason: String) {
        self.reason = reason
    }
}

extension String {
    /// The text in quotation marks, escaped.
    var quoted: String { "\"\(self.escaped)\"" }

    /// The text on one line, with control characters escaped, cut after 80 bytes.
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
