/// One option of a subcommand: all that the parser, the help, the completion and the reference say of it.
public struct OptionSpec: Sendable, Equatable {
    /// What kind of value it takes; decides how it stands in a configuration file, too.
    public enum Form: Sendable, Equatable {
        /// No value: being there is all.
        case flag
        case text
        /// The path of a file, for completion.
        case file
        /// In a file a JSON number.
        case number
        /// A number that may be left out: the word behind is its value where that begins with a digit.
        case optionalNumber
        /// `on` or `off`; in a file `true` or `false`.
        case toggle
        case choice([String])
        /// Several, with commas between them; in a file an array of strings.
        case list
        /// A path, repeatable; in a file an array of strings.
        case files
        /// NAME=VALUE, repeatable; in a file an object of numbers.
        case limits
    }

    /// Without the dashes.
    public let name: String
    public let form: Form
    /// What stands for its value in the help, `HOST:PORT`; empty for a flag.
    public let placeholder: String
    /// Its default as the help says it; nil when there is none.
    public let defaultText: String?
    public let help: String
    /// The heading it stands under.
    public let group: String
    /// Whether environment and file may set it, as those of `serve`.
    public let isSetting: Bool
    /// The environment variable of one that is no setting.
    var variable: String?

    /// Its environment variable; nil when it has none.
    public var environment: String? {
        guard self.isSetting else { return self.variable }
        // CONFAB_ADMIN is for the verbs that ask a node; this one listens.
        if self.name == "admin" { return "CONFAB_ADMIN_LISTEN" }
        return "CONFAB_" + self.name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Its name in a configuration file; nil when it cannot stand there.
    public var fileKey: String? {
        self.isSetting && self.name != "config" ? self.name : nil
    }

    /// Whether it may be given more than once; else the last one counts.
    public var isRepeatable: Bool {
        switch self.form {
        case .list, .files, .limits: true
        default: false
        }
    }

    /// Whether something must follow.
    public var needsValue: Bool { self.form != .flag && self.form != .optionalNumber }

    /// The words that it takes, where there are only a few.
    public var choices: [String] {
        switch self.form {
        case .toggle: ["on", "off"]
        case .choice(let words): words
        default: []
        }
    }
}
