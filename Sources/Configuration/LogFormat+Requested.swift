internal import JSON
public import Telemetry

extension LogFormat {
    /// The format in which `confab serve` says why it cannot begin, where the settings as a whole are no good: what reads its log reads that
    /// line, too. The command line counts before the environment, and that before the file; text is what nobody has to ask for.
    ///
    /// - Parameters:
    ///   - arguments: without the program's name. Of another subcommand than `serve`: it has no log.
    ///   - readFile: reads the file of `--config`.
    public static func requested(
        by arguments: [String], environment: [String: String],
        readFile: (String) throws(FileProblem) -> [UInt8] = FileProblem.read
    ) -> LogFormat {
        guard arguments.first == "serve" else { return .text }
        let words = arguments.dropFirst().prefix { $0 != "--" }
        func variable(_ name: String) -> String? {
            environment[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        func given(_ option: String) -> String? {
            var value: String?
            for (place, word) in zip(words.indices, words) {
                if word == "--\(option)", words.indices.contains(place + 1) {
                    value = words[place + 1]
                }
                if word.hasPrefix("--\(option)=") {
                    value = String(word.dropFirst(option.count + 3))
                }
            }
            return value
        }
        if let text = given("log-format") ?? variable("CONFAB_LOG_FORMAT") {
            return LogFormat(rawValue: text) ?? .text
        }
        guard let path = given("config") ?? variable("CONFAB_CONFIG"),
            let bytes = try? readFile(path),
            let tree = try? JSONTree(parsing: bytes.span.bytes, depthLimit: 8, valueLimit: 10_000)
        else { return .text }
        return tree["log-format"]?.stringValue.flatMap { LogFormat(rawValue: $0) } ?? .text
    }
}
