/// One value of a setting, with its source.
struct SourcedValue: Equatable {
    let text: String
    let source: EffectiveSetting.Source

    /// The name of the value in an error: the option, the variable, or the file and its key.
    func location(of option: OptionSpec) -> String {
        switch self.source {
        case .standard, .commandLine: "--\(option.name)"
        case .environment(let variable): variable
        case .file(let path): "\(path.escaped): \(option.name)"
        }
    }
}

/// The sources of settings: command line, environment and file.
struct SettingSources {
    let commandLine: ScannedArguments
    let environment: [String: String]
    /// Nil when there is none.
    let file: ConfigurationFile?

    /// The effective values of an option, the weakest source first. Limits of all sources are
    /// merged by name; for other options only the strongest source counts.
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

    /// An empty variable counts as unset, because compose files and unit files unset variables this
    /// way.
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
