import Testing

@testable import Configuration

/// Reads a command line with files that are only here.
func invoke(
    _ line: String, environment: [String: String] = [:], files: [String: String] = [:]
) throws(UsageError) -> Invocation {
    let words = line.split(separator: " ").map(String.init)
    return try Invocation(words, environment: environment) { (path: String) throws(FileProblem) in
        guard let text = files[path] else { throw FileProblem("No such file or directory") }
        return Array(text.utf8)
    }
}

/// The options of `serve` with this behind it.
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

/// The line on which a command line fails; nil when it does not.
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

    /// Without the account of where everything comes from.
    var values: ServeOptions {
        var values = self
        values.settings = []
        values.warnings = []
        values.configurationFile = nil
        return values
    }
}
