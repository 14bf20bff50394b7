public import ConfabClient
public import EventLoop
public import Identity

/// Why a benchmark cannot start.
public enum BenchmarkError: Error, Sendable, Equatable, CustomStringConvertible {
    case url(WebSocketURLError)
    /// `option` is the name on the command line; `problem` completes the sentence.
    case option(String, problem: String)
    case secret(KeyError)
    case client(ClientError)
    case socket(SocketError)
    case noSuchProcess(Int32)
    /// `reason` is a sentence without its period.
    case redis(reason: String)

    public var description: String {
        switch self {
        case .url(let error): error.description
        case .option(let option, let problem): "\(option): \(problem)."
        case .secret(let error): error.description
        case .client(let error): error.description
        case .socket(let error): error.description
        case .noSuchProcess(let process):
            "--server-pid: there is no process \(process) on this machine."
        case .redis(let reason): "--redis: \(reason)."
        }
    }
}
