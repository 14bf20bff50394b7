import Configuration
import FoundationEssentials
import Glibc
import OperatorClient

/// The command line: finds the subcommand and does it.
enum Program {
    /// Of the program and of the protocol between nodes.
    static let version = "0.1.0"

    /// - Returns: the exit status: 0 done, 1 failed, 2 used wrongly, 3 the cluster did not answer.
    static func run(_ arguments: [String]) async -> Int32 {
        let invocation: Invocation
        do throws(UsageError) {
            invocation = try Invocation(arguments, environment: ProcessInfo.processInfo.environment)
        } catch {
            Self.complain(error.description)
            return UsageError.exitStatus
        }
        switch invocation {
        case .serve(let options): return await ServeCommand.run(options)
        case .token(let options): return TokenCommand.run(options)
        case .chat(let options): return await ChatCommand.run(options)
        case .bench(let options): return await BenchCommand.run(options)
        case .operate(let options): return OperatorCommand.run(options, environment: ProcessInfo.processInfo.environment)
        case .checkConfiguration(let options): return ConfigCommand.check(options)
        case .showConfiguration(let options, let format): print(options.report(format), terminator: "")
        case .completion(let shell): print(shell.completionScript, terminator: "")
        case .version: print("confab \(Self.version)")
        case .help(let text): print(text, terminator: "")
        }
        return 0
    }

    /// A line for whoever sits in front of it.
    static func complain(_ sentence: String) {
        var line = Array("\(sentence)\n".utf8)
        _ = write(STDERR_FILENO, &line, line.count)
    }
}
