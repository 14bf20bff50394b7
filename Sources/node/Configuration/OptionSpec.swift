/// The specification of an option. The parser, the help, the completion and the reference use it.
public struct OptionSpec: Sendable, Equatable {
    /// The kind of value; also decides the type in a configuration file.
    public enum Form: Sendable, Equatable {
        /// No value; the presence of the flag counts.
        case flag
        case text
        /// The path of a file; completion offers files.
        case file
        /// A JSON number in a file.
        case number
        /// A number that may be left out. The next word is its value if it begins with a digit.
        case optionalNumber
        /// `on` or `off`; `true` or `false` in a file.
        case toggle
        case choice([String])
        /// Values with commas between them; an array of strings in a file.
        case list
        /// A path, repeatable; an array of strings in a file.
        case files
        /// NAME=VALUE, repeatable; an object of numbers in a file.
        case limits
    }

    /// Without the dashes.
    public let name: String
    public let form: Form
    /// The name of the value in the help, such as `HOST:PORT`; empty for a flag.
    public let placeholder: String
    /// The default in the help; nil when there is none.
    public let defaultText: String?
    public let help: String
    /// The heading in the help.
    public let group: String
    /// Whether the environment and the file may set it, as for the options of `serve`.
    public let isSetting: Bool
    /// The environment variable of an option that is not a setting.
    var variable: String?
    /// Beginnings of values, which completion offers.
    var prefixes: [String] = []

    /// The environment variable; nil when there is none.
    public var environment: String? {
        guard self.isSetting else { return self.variable }
        // CONFAB_ADMIN_URL is the address that operators' subcommands connect to, so the listener
        // has another name.
        if self.name == "admin" { return "CONFAB_ADMIN_LISTEN" }
        return "CONFAB_" + self.name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// The key in a configuration file; nil when it is not allowed there.
    public var fileKey: String? {
        self.isSetting && self.name != "config" ? self.name : nil
    }

    /// Whether it may occur more than once. Otherwise the last value counts.
    public var isRepeatable: Bool {
        switch self.form {
        case .list, .files, .limits: true
        default: false
        }
    }

    /// Whether a value is required.
    public var needsValue: Bool { self.form != .flag && self.form != .optionalNumber }

    /// The allowed values, if there are only a few.
    public var choices: [String] {
        switch self.form {
        case .toggle: ["on", "off"]
        case .choice(let choices): choices
        default: []
        }
    }
}
