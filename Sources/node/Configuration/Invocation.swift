/// A parsed command line, with checked values.
public enum Invocation: Sendable, Equatable {
    case serve(ServeOptions)
    case token(TokenOptions)
    case chat(ChatOptions)
    case bench(BenchOptions)
    case copy(CopyOptions)
    /// A subcommand for operators.
    case operate(OperatorOptions)
    /// The settings are valid; the files that they name are still to be checked.
    case checkConfiguration(ServeOptions)
    case showConfiguration(ServeOptions, OutputFormat)
    case completion(Shell)
    case version
    /// A page of the manual, by its file name; nil to list the names. For packages.
    case manual(page: String?, date: String)
    /// A help text to print.
    case help(String)

    /// Parses a command line.
    ///
    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - environment: all variables; used for the settings of `serve` and for the options of
    ///     operators.
    ///   - table: all subcommands.
    ///   - readFile: reads the file of `--config`.
    public init(
        _ arguments: [String], environment: [String: String], _ table: CommandTable,
        readFile: (String) throws(FileProblem) -> [UInt8] = FileProblem.read
    ) throws(UsageError) {
        guard let first = arguments.first else { throw .noCommand }
        switch first {
        case "--help", "-h":
            self = .help(HelpText.overview(table))
            return
        case "--version", "-V":
            self = .version
            return
        case "--man":
            self = try Self.manual(arguments.dropFirst(), in: table)
            return
        default:
            break
        }
        guard !first.hasPrefix("-") else {
            // The option precedes its subcommand.
            let name = String(first.drop { $0 == "-" }.prefix { $0 != "=" })
            let owner = table.all.first { $0.option(named: name) != nil }
            throw .unknownOption(
                "--" + name, command: nil, suggestion: owner.map { "confab \($0.name) --\(name)" })
        }
        if arguments.count == 2, ["--help", "-h"].contains(arguments[1]),
            let family = table.families.first(where: { $0.name == first })
        {
            self = .help(HelpText.text(ofFamily: family.name, family.members))
            return
        }
        let (command, rest) = try Self.command(arguments[...], in: table)
        if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
            self = .help(HelpText.text(of: command))
            return
        }
        let scanned = try ScannedArguments(rest, of: command)
        func serveOptions() throws(UsageError) -> ServeOptions {
            try Self.serveOptions(scanned, environment, table.stores, readFile)
        }
        switch command.name {
        case "serve":
            self = .serve(try serveOptions())
        case "config check":
            self = .checkConfiguration(try serveOptions())
        case "config show":
            let output = try Self.choice(OutputFormat.self, of: "output", in: scanned) ?? .text
            self = .showConfiguration(try serveOptions(), output)
        case "token":
            self = .token(try TokenOptions(scanned))
        case "chat":
            self = .chat(try ChatOptions(scanned, table))
        case "bench":
            self = .bench(try BenchOptions(scanned, table))
        case "copy":
            self = .copy(try CopyOptions(scanned, table.stores))
        case "completion":
            self = .completion(
                try Self.argument(0, in: scanned, of: command, ValueParsing.choice(Shell.self)))
        case "help":
            self = .help(try Self.help(on: scanned.arguments, in: table))
        default:
            if let verb = OperatorVerb.named(command.name) {
                self = .operate(try OperatorOptions(verb, scanned, environment))
                return
            }
            preconditionFailure(
                "the subcommand \(command.name) is in the table, but not in this switch")
        }
    }

    /// Parses `--man [PAGE [YYYY-MM-DD]]`.
    private static func manual(
        _ words: ArraySlice<String>, in table: CommandTable
    ) throws(UsageError) -> Invocation {
        guard words.count <= 2 else {
            throw .unexpectedArgument(
                words[words.startIndex + 2], command: "--man", suggestion: nil)
        }
        guard let page = words.first else { return .manual(page: nil, date: "") }
        guard ManualPages.names(table).contains(page) else {
            throw .badValue(
                name: "--man", problem: "\(page.quoted) is not a page; confab --man lists them")
        }
        let date = words.dropFirst().first ?? ""
        let shape = date.map { $0.isASCII && $0.isNumber ? "0" : String($0) }.joined()
        guard date.isEmpty || shape == "0000-00-00" else {
            throw .badValue(name: "--man", problem: "\(date.quoted) is not a date (YYYY-MM-DD)")
        }
        return .manual(page: page, date: date)
    }

    /// Finds the subcommand, which may have two words. Returns it with the rest of the command
    /// line.
    private static func command(
        _ words: ArraySlice<String>, in table: CommandTable
    ) throws(UsageError) -> (CommandSpec, ArraySlice<String>) {
        let first = words.first ?? ""
        if let command = table.command(named: first) { return (command, words.dropFirst()) }
        let family = table.all.filter { $0.name.hasPrefix(first + " ") }
        guard !family.isEmpty, !first.isEmpty else {
            throw .unknownCommand(
                first,
                suggestion: Spelling.nearest(to: first, among: CommandTable.topLevelNames).map {
                    "confab \($0)"
                })
        }
        let seconds = family.map { String($0.name.dropFirst(first.count + 1)) }
        guard let second = words.dropFirst().first else {
            throw .missingArgument(seconds.joined(separator: " or "), command: first)
        }
        guard let command = table.command(named: "\(first) \(second)") else {
            let suggestion =
                Spelling.nearest(to: second, among: seconds) ?? seconds.joined(separator: " or ")
            throw .unknownCommand("\(first) \(second)", suggestion: "confab \(first) \(suggestion)")
        }
        return (command, words.dropFirst(2))
    }

    private static func help(on words: [String], in table: CommandTable) throws(UsageError)
        -> String
    {
        guard let first = words.first else { return HelpText.overview(table) }
        if words.count == 1, let family = table.families.first(where: { $0.name == first }) {
            return HelpText.text(ofFamily: family.name, family.members)
        }
        return HelpText.text(of: try self.command(words[...], in: table).0)
    }

    private static func serveOptions(
        _ scanned: ScannedArguments, _ environment: [String: String], _ stores: StoreChoices,
        _ readFile: (String) throws(FileProblem) -> [UInt8]
    ) throws(UsageError) -> ServeOptions {
        let variable = environment["CONFAB_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        var file: ConfigurationFile?
        if let path = scanned.occurrences.last(where: { $0.name == "config" })?.value ?? variable {
            let bytes: [UInt8]
            do throws(FileProblem) {
                bytes = try readFile(path)
            } catch {
                throw .badFile(path, problem: "cannot be read: \(error)")
            }
            file = try ConfigurationFile(path: path, bytes: bytes)
        }
        return try ServeOptions(
            SettingSources(commandLine: scanned, environment: environment, file: file), stores)
    }

    /// Parses the argument at `index`. Further values belong to the last argument of the
    /// subcommand.
    ///
    /// - Parameter known: the argument, if it is not that at `index` because one before it is left
    ///   out.
    static func argument<Value>(
        _ index: Int, as known: CommandSpec.Argument? = nil, in scanned: ScannedArguments,
        of command: CommandSpec, _ parse: (String) throws(ValueProblem) -> Value
    ) throws(UsageError) -> Value {
        let argument = known ?? command.arguments[min(index, command.arguments.count - 1)]
        guard scanned.arguments.count > index else {
            let words =
                argument.choices.isEmpty ? "" : " (\(argument.choices.joined(separator: ", ")))"
            throw .missingArgument(argument.name + words, command: command.name)
        }
        do throws(ValueProblem) {
            return try parse(scanned.arguments[index])
        } catch {
            throw .badValue(name: argument.name, problem: error.reason)
        }
    }

    private static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ type: Value.Type, of option: String, in scanned: ScannedArguments
    ) throws(UsageError) -> Value? {
        guard let text = scanned.occurrences.last(where: { $0.name == option })?.value else {
            return nil
        }
        do throws(ValueProblem) {
            return try ValueParsing.choice(type)(text)
        } catch {
            throw .badValue(name: "--\(option)", problem: error.reason)
        }
    }
}
