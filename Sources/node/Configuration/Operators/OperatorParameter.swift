public import JSON

/// A value that an operator gives with a verb: an argument or option on the command line, and a
/// member of the query or of the body in the admin API. One rule checks it in both places.
public struct OperatorParameter: Sendable {
    /// The values that are allowed.
    public enum Kind: Sendable, Equatable {
        /// 1 to `limit` bytes without control characters.
        case text(limit: Int)
        /// The id of an existing user: 1 to 128 characters without control characters
        /// (`NameRule.allowsExisting`).
        case user
        /// Ids of users, at most so many: a repeatable option, and an array in the API.
        case users(limit: Int)
        /// The name of a tenant.
        case tenant
        case number(ClosedRange<Int>)
        /// Per second; `200` or `200/s` on the command line.
        case rate
        /// Seconds in the API; seconds, or `90s`, `30m`, `1h`, `7d`, on the command line.
        case duration(ClosedRange<Double>)
        case choice([String])
        /// An option without a value; true in the API.
        case flag
        /// The path of a file of the client.
        case file
    }

    /// The name in the API.
    public let name: String
    /// The name on the command line: of an option without the dashes, or of an argument; empty if
    /// only the API has the parameter.
    public let word: String
    public let kind: Kind
    public let isArgument: Bool
    public let isRequired: Bool
    /// The value that the server uses if there is none.
    public let defaultValue: JSONTree?
    /// The name of an option's value in the help.
    let placeholder: String
    public let help: String
    /// Whether only the command line has the parameter.
    var isOfClient = false
    /// Whether the API requires it although the command line does not.
    private var isRequiredByAPI = false

    private init(
        name: String, word: String, kind: Kind, isArgument: Bool, isRequired: Bool,
        defaultValue: JSONTree?, placeholder: String, help: String
    ) {
        self.name = name
        self.word = word
        self.kind = kind
        self.isArgument = isArgument
        self.isRequired = isRequired
        self.defaultValue = defaultValue
        self.placeholder = placeholder
        self.help = help
    }

    /// A positional argument.
    static func argument(
        _ name: String, _ word: String, kind: Kind = .text(limit: 255), _ help: String,
        isOptional: Bool = false, isRequiredInAPI: Bool = false
    ) -> Self {
        var parameter = Self(
            name: name, word: word, kind: kind, isArgument: true, isRequired: !isOptional,
            defaultValue: nil, placeholder: "", help: help)
        parameter.isRequiredByAPI = isRequiredInAPI
        return parameter
    }

    /// - Parameter word: the option's name, if it differs from the name in the API.
    static func option(
        _ name: String, as word: String? = nil, _ placeholder: String, _ kind: Kind,
        default defaultValue: JSONTree? = nil, isRequired: Bool = false, _ help: String
    ) -> Self {
        Self(
            name: name, word: word ?? name, kind: kind, isArgument: false, isRequired: isRequired,
            defaultValue: defaultValue, placeholder: placeholder, help: help)
    }

    /// An option that only the command line has.
    static func clientOption(
        _ name: String, _ placeholder: String, _ kind: Kind, default defaultValue: JSONTree? = nil,
        _ help: String
    ) -> Self {
        var parameter = self.option(name, placeholder, kind, default: defaultValue, help)
        parameter.isOfClient = true
        return parameter
    }

    /// A parameter of the API that the command line does not have.
    static func member(
        _ name: String, _ kind: Kind, default defaultValue: JSONTree? = nil, _ help: String
    ) -> Self {
        Self(
            name: name, word: "", kind: kind, isArgument: false, isRequired: false,
            defaultValue: defaultValue, placeholder: "", help: help)
    }

    /// A file belongs to the client, so the API does not have the parameter.
    public var isInAPI: Bool { !self.isOfClient && self.kind != .file }

    public var isRequiredInAPI: Bool { self.isRequired || self.isRequiredByAPI }

    var isOption: Bool { !self.isArgument && !self.word.isEmpty }

    // MARK: Values

    /// Checks a value of the command line or of a query.
    func value(ofText text: String) throws(ValueProblem) -> JSONTree {
        switch self.kind {
        case .text, .user, .tenant, .choice, .file:
            return try self.checked(text)
        case .users:
            return .array([.string(try ValueParsing.person(text))])
        case .flag:
            guard ["", "true", "false"].contains(text) else {
                throw ValueProblem("\(text.quoted) is neither true nor false")
            }
            return .bool(text != "false")
        case .number(let range):
            return .integer(try ValueParsing.integer(in: range)(text))
        case .rate:
            let number = text.hasSuffix("/s") ? String(text.dropLast(2)) : text
            return .integer(try ValueParsing.integer(in: Self.rates)(number))
        case .duration(let range):
            let limits = Duration.seconds(range.lowerBound) ... .seconds(range.upperBound)
            let hasUnit = text.last.map { "smhd".contains($0) } == true
            let duration: Duration
            if hasUnit {
                duration = try ValueParsing.lifetime(text)
            } else if text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }),
                let seconds = Double(text), range.contains(seconds)
            {
                duration = .milliseconds(Int((seconds * 1000).rounded()))
            } else {
                duration = try ValueParsing.seconds(in: limits)(text)
            }
            guard limits.contains(duration) else { throw self.outside(range, text) }
            return .number(ValueParsing.text(ofSeconds: duration))
        }
    }

    /// Checks a value of a JSON body.
    private func value(ofJSON value: JSONTree) throws(ValueProblem) -> JSONTree {
        switch self.kind {
        case .text, .user, .tenant, .choice, .file:
            guard let text = value.stringValue else { throw ValueProblem("must be a string") }
            return try self.checked(text)
        case .users(let limit):
            guard let users = value.elements else { throw ValueProblem("must be an array") }
            guard users.count <= limit else { throw ValueProblem("must be at most \(limit)") }
            return .array(
                try users.map { (user: JSONTree) throws(ValueProblem) in
                    guard let text = user.stringValue else {
                        throw ValueProblem("must be an array of strings")
                    }
                    return .string(try ValueParsing.person(text))
                })
        case .flag:
            guard value.boolValue != nil else { throw ValueProblem("must be true or false") }
            return value
        case .number, .rate:
            // JSON does not distinguish 5 from 5.0.
            guard let number = value.integerValue ?? value.doubleValue.flatMap(Int.init(exactly:))
            else { throw ValueProblem("must be a whole number") }
            return try self.value(ofText: String(number))
        case .duration(let range):
            guard let number = value.doubleValue else { throw ValueProblem("must be a number") }
            guard range.contains(number) else { throw self.outside(range, value.text) }
            return value
        }
    }

    private func checked(_ text: String) throws(ValueProblem) -> JSONTree {
        switch self.kind {
        case .text(let limit):
            guard (1...limit).contains(text.utf8.count),
                text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
            else { throw ValueProblem("must be 1 to \(limit) bytes without control characters") }
            return .string(text)
        case .tenant: return .string(try ValueParsing.name("._-", upTo: 64)(text))
        case .choice(let words): return .string(try ValueParsing.choice(of: words)(text))
        case .file: return .string(try ValueParsing.text(text))
        default: return .string(try ValueParsing.existingPerson(text))
        }
    }

    private static let rates = 1...1_000_000

    private func outside(_ range: ClosedRange<Double>, _ text: String) -> ValueProblem {
        func bound(_ seconds: Double) -> String {
            ValueParsing.text(ofSeconds: .milliseconds(Int(seconds * 1000)))
        }
        return ValueProblem(
            """
            \(text.escaped) is not between \(bound(range.lowerBound)) and \
            \(bound(range.upperBound)) seconds
            """
        )
    }

    /// Checks a value that a client of the admin API gave.
    ///
    /// - Parameter isQuery: whether it is text from a query, and not JSON.
    /// - Throws: a sentence that names the parameter.
    public func value(of given: JSONTree, isQuery: Bool) throws(OperatorParameterError) -> JSONTree
    {
        do throws(ValueProblem) {
            guard isQuery, let text = given.stringValue else {
                return try self.value(ofJSON: given)
            }
            return try self.value(ofText: text)
        } catch {
            throw OperatorParameterError(description: "\"\(self.name)\": \(error.reason)")
        }
    }

    // MARK: The command line

    var binding: OptionBinding<OperatorOptions> {
        let isFlag = self.kind == .flag
        let form: OptionSpec.Form =
            switch self.kind {
            case .flag: .flag
            case .number, .rate: .number
            case .choice(let words): .choice(words)
            case .file: .file
            case .users: .list
            default: .text
            }
        return OptionBinding(
            .client(
                self.word, form, isFlag ? "" : self.placeholder,
                default: self.defaultValue.map { $0.stringValue ?? $0.text }, in: "Selection",
                self.help),
            changes: \.parameters
        ) { (parameters: inout [JSONTree.ObjectMember], text: String) throws(ValueProblem) in
            var value = try self.value(ofText: text)
            if case .users(let limit) = self.kind {
                let earlier = parameters.first { $0.name == self.name }?.value.elements ?? []
                guard earlier.count < limit else { throw ValueProblem("must be at most \(limit)") }
                value = .array(earlier + (value.elements ?? []))
            }
            parameters.removeAll { $0.name == self.name }
            parameters.append(.init(self.name, value))
        }
    }

    var argument: CommandSpec.Argument {
        let choices: [String] = if case .choice(let words) = self.kind { words } else { [] }
        return CommandSpec.Argument(
            self.word, self.help, choices: choices, isOptional: !self.isRequired)
    }
}

/// Says what is wrong with a parameter, and names it.
public struct OperatorParameterError: Error, Equatable, CustomStringConvertible {
    public let description: String
}
