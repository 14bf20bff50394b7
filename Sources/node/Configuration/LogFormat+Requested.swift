internal import JSON
public import Telemetry

extension LogFormat {
    /// The log format for the error of a `confab serve` whose settings are invalid.
    ///
    /// The error is written in the requested format, so that the reader of the log can parse it.
    /// The command line takes precedence over the environment, and the environment over the file.
    /// The default is text.
    ///
    /// - Parameters:
    ///   - arguments: without the program's name. Subcommands other than `serve` have no log and
    ///     get text.
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
            for (index, word) in zip(words.indices, words) {
                if word == "--\(option)", words.indices.contains(index + 1) {
                    value = words[index + 1]
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
