/// One value of a setting and who gave it.
struct SourcedValue: Equatable {
    let text: String
    let source: EffectiveSetting.Source

    /// How a message names the place where the value stands.
    func location(of option: OptionSpec) -> String {
        switch self.source {
        case .standard, .commandLine: "--\(option.name)"
        case .environment(let variable): variable
        case .file(let path): "\(path.escaped): \(option.name)"
        }
    }
}

/// Command line, environment and file, put one over the other.
struct SettingSources {
    let commandLine: ScannedArguments
    let environment: [String: String]
    /// Nil when there is none.
    let file: ConfigurationFile?

    /// The values in force of one option, the weaker source first. Limits of all three count, each by its own name; of
    /// everything else only what the strongest source says.
    func values(of option: OptionSpec) -> [SourcedValue] {
        let sources = [
            self.fileValues(of: option), self.environmentValues(of: option),
            self.commandLineValues(of: option),
        ].compactMap(\.self)
        return option.form == .limits ? sources.flatMap(\.self) : sources.last ?? []
    }

    private func commandLineValues(of option: OptionSpec) -> [SourcedValue]? {
        var values = self.commandLine.occurrences.filter { $0.name == option.name }.map(\.value)
        if !option.isRepeatable { values = Array(values.suffix(1)) }
        if option.form == .list { values = values.flatMap(Self.items) }
        return values.isEmpty ? nil : values.map { SourcedValue(text: $0, source: .commandLine) }
    }

    /// An empty variable is as good as none: that is how compose files and unit files leave one out.
    private func environmentValues(of option: OptionSpec) -> [SourcedValue]? {
        guard let variable = option.environment, let text = self.environment[variable],
            !text.isEmpty
        else { return nil }
        let values = option.isRepeatable ? Self.items(of: text) : [text]
        return values.map { SourcedValue(text: $0, source: .environment(variable)) }
    }

    private func fileValues(of option: OptionSpec) -> [SourcedValue]? {
        guard let file = self.file, let values = file.values[option.name] else { return nil }
        return values.map { SourcedValue(text: $0, source: .file(file.path)) }
    }

    private static func items(of text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map { item in
            let start = item.drop { $0 == " " }
            return String(start.reversed().drop { $0 == " " }.reversed())
        }
    }
}
