/// The options and arguments of a command line, still as text.
struct ScannedArguments: Equatable {
    struct Occurrence: Equatable {
        let name: String
        /// Empty for a flag, and for a value that was left out.
        let value: String
    }

    var occurrences: [Occurrence] = []
    var arguments: [String] = []

    func has(_ flag: String) -> Bool {
        self.occurrences.contains { $0.name == flag }
    }

    /// Scans everything after the subcommand. Options may come before or after arguments, as
    /// `--name value` or `--name=value`; `--` ends them.
    init(_ words: ArraySlice<String>, of command: CommandSpec) throws(UsageError) {
        var rest = words
        while let word = rest.popFirst() {
            if word == "--" {
                self.arguments += rest
                break
            }
            guard word.hasPrefix("-"), word.utf8.count > 1 else {
                self.arguments.append(word)
                continue
            }
            try self.scanOption(word, from: &rest, of: command)
        }
        if self.arguments.count > command.arguments.count,
            command.arguments.last?.isRepeatable != true
        {
            let extra = self.arguments[command.arguments.count]
            let suggestion = command.option(named: extra).map { "--" + $0.name }
            throw .unexpectedArgument(extra, command: command.name, suggestion: suggestion)
        }
    }

    private mutating func scanOption(
        _ word: String, from rest: inout ArraySlice<String>, of command: CommandSpec
    ) throws(UsageError) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let written = String(parts[0])
        guard written.hasPrefix("--"),
            let option = command.option(named: String(written.dropFirst(2)))
        else {
            let name = String(written.drop { $0 == "-" })
            let suggestion = Spelling.nearest(to: name, among: command.options.map(\.name)).map {
                "--" + $0
            }
            throw .unknownOption(written, command: command.name, suggestion: suggestion)
        }
        switch (option.form, parts.count == 2) {
        case (.flag, false):
            self.occurrences.append(Occurrence(name: option.name, value: ""))
        case (.flag, true):
            throw .unexpectedValue(option: written)
        case (.optionalNumber, false):
            var value = ""
            if let next = rest.first, let first = next.utf8.first,
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
            {
                value = rest.removeFirst()
            }
            self.occurrences.append(Occurrence(name: option.name, value: value))
        case (_, true):
            self.occurrences.append(Occurrence(name: option.name, value: String(parts[1])))
        case (_, false):
            // If the value is missing, the next option must not be taken for it: the error would
            // name the wrong option.
            guard let value = rest.first, !value.hasPrefix("--") else {
                throw .missingValue(option: written, placeholder: option.placeholder)
            }
            rest.removeFirst()
            self.occurrences.append(Occurrence(name: option.name, value: value))
        }
    }
}
