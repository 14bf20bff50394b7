import Configuration
import Dialects
import EventLoop
import Glibc
import OperatorClient
import Stores
import Telemetry

/// The entry point: parses the command line and runs the subcommand.
enum Program {
    /// The version of the program. Nodes report it to each other.
    static let version = "0.1.0"
    /// All subcommands, with the names of all dialects and stores.
    static let commands = CommandTable(DialectList.all.choices, StoreList.all.choices)

    /// - Returns: the exit status: 0 done, 1 failed, 2 invalid usage, 3 the cluster did not answer.
    static func run(_ arguments: [String]) async -> Int32 {
        let status = await Self.perform(arguments)
        CommandOutput.standard.close()
        guard CommandOutput.standard.hasFailed else { return status }
        if let problem = CommandOutput.standard.failureReason {
            Self.printError("confab: the output cannot be written: \(problem)")
        }
        return status == 0 ? 1 : status
    }

    private static func perform(_ arguments: [String]) async -> Int32 {
        let environment = ProcessContext.environment
        let invocation: Invocation
        do throws(UsageError) {
            invocation = try Invocation(arguments, environment: environment, Self.commands)
        } catch {
            Self.fail(
                error.reason, as: LogFormat.requested(by: arguments, environment: environment))
            return UsageError.exitStatus
        }
        switch invocation {
        case .serve(let options): return await ServeCommand.run(options)
        case .token(let options): return TokenCommand.run(options)
        case .chat(let options): return await ChatTerminalCommand.run(options)
        case .bench(let options): return await BenchCommand.run(options)
        case .copy(let options): return CopyCommand.run(options)
        case .operate(let options): return OperatorCommand.run(options, environment: environment)
        case .checkConfiguration(let options): return ConfigCommand.check(options)
        case .showConfiguration(let options, let format): Self.write(options.report(format))
        case .completion(let shell): Self.write(shell.completionScript(Self.commands))
        case .version: Self.write("confab \(Self.version)\n")
        case .manual(let page, let date): Self.writeManual(page, date)
        case .help(let text): Self.write(text)
        }
        return 0
    }

    /// Writes a page of the manual, or the names of all pages.
    private static func writeManual(_ page: String?, _ date: String) {
        let pages = ManualPages(Self.commands, version: Self.version, date: date)
        guard let page else {
            let names = ManualPages.names(Self.commands)
            return Self.write(names.joined(separator: "\n") + "\n")
        }
        // The parser has checked the name.
        Self.write(pages.page(page) ?? "")
    }

    /// Writes a text to standard output. `run` reports a failure at the end.
    static func write(_ text: String) { CommandOutput.standard.write(text) }

    /// Reports why the process ends: as a line, or as a log event in JSON.
    static func fail(_ reason: String, as format: LogFormat) {
        guard format == .json else { return Self.printError("confab: \(reason)") }
        let logger = Logger(level: .error, format: format, writer: LogWriter())
        logger.error("fatal", ["reason": .text(reason)])
        logger.flush()
    }

    /// Writes a line to standard error.
    static func printError(_ message: String) {
        var line = Array("\(message)\n".utf8)
        _ = Glibc.write(STDERR_FILENO, &line, line.count)
    }
}
