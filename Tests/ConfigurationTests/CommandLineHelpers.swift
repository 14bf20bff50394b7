import Dialects
import Stores
import Testing

@testable import Configuration

extension CommandTable {
    /// With the names of the program's dialects and stores.
    static let program = CommandTable(DialectList.all.choices, StoreList.all.choices)
}

extension ServeOptions {
    /// The default settings.
    static let standard = ServeOptions(
        store: StoreLocation(
            .sqlite, "confab.db", description: "sqlite:confab.db", path: "confab.db"))
}

/// Parses a command line, with files that exist only in memory.
func invoke(
    _ line: String, environment: [String: String] = [:], files: [String: String] = [:]
) throws(UsageError) -> Invocation {
    let words = line.split(separator: " ").map(String.init)
    return try Invocation(words, environment: environment, .program) {
        (path: String) throws(FileProblem) in
        guard let text = files[path] else { throw FileProblem("No such file or directory") }
        return Array(text.utf8)
    }
}

/// Parses a command line of `serve`.
func serve(_ line: String = "", environment: [String: String] = [:], files: [String: String] = [:])
    throws -> ServeOptions
{
    guard
        case .serve(let options) = try invoke(
            "serve " + line, environment: environment, files: files)
    else {
        throw UsageError.conflict("no serve")
    }
    return options
}

/// The error of a command line; nil when it is valid.
func errorText(_ line: String, environment: [String: String] = [:], files: [String: String] = [:])
    -> String?
{
    do throws(UsageError) {
        _ = try invoke(line, environment: environment, files: files)
        return nil
    } catch {
        return error.description
    }
}

extension ServeOptions {
    func setting(_ name: String) -> EffectiveSetting? {
        self.settings.first { $0.name == name }
    }

    /// The options without the sources of their values.
    var values: ServeOptions {
        var values = self
        values.settings = []
        values.warnings = []
        values.configurationFile = nil
        return values
    }
}
