import Foundation
import Synchronization

/// A program that a test starts.
public final class ChildProcess: Sendable {
    /// The way a process ended.
    public enum ExitStatus: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    public let id: Int32
    public let output: LineLog
    public let errors: LineLog
    private let input: Mutex<Int32?>
    private let exitStatus = Mutex<ExitStatus?>(nil)
    private let name: String

    /// - Parameters:
    ///    - environment: added to the environment of the test, without its `CONFAB_` variables.
    ///    - openFiles: `ulimit -n` of the process.
    public init(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:],
        folder: String = "/", openFiles: Int? = nil
    ) throws {
        self.name = program
        Self.ignoreBrokenPipes
        let limit = openFiles.map { "ulimit -n \($0) && " } ?? ""
        let command =
            ["/bin/sh", "-c", "cd \"$0\" && \(limit)exec \"$@\"", folder, program] + arguments
        let environment = Self.environment(with: environment)
        let (id, streams) = try Self.spawn(command, environment)
        self.id = id
        self.input = Mutex(streams.input)
        self.output = LineLog(streams.output)
        self.errors = LineLog(streams.errors)
        Thread.detachNewThread { [self] in self.reap() }
    }

    /// Kills the process if it is still running. Not in `deinit`, because the waiting thread
    /// retains the object.
    public func kill() {
        self.closeInput()
        self.send(SIGKILL)
    }

    /// Sends a signal. Has no effect after the process has ended.
    public func send(_ signal: Int32) {
        self.exitStatus.withLock { if $0 == nil { _ = Glibc.kill(self.id, signal) } }
    }

    /// Stops the process with SIGSTOP, until SIGCONT.
    public func freeze() throws { try Self.freeze(self.id) }

    /// Stops a process with SIGSTOP and waits until all its threads have stopped. On a busy machine
    /// they run on for a moment after the signal was sent.
    public static func freeze(_ id: Int32) throws {
        _ = Glibc.kill(id, SIGSTOP)
        let threads = "/proc/\(id)/task"
        try Deadline.wait(
            for: "process \(id) to stop",
            untilTrue: {
                try FileManager.default.contentsOfDirectory(atPath: threads).allSatisfy {
                    // A thread that has ended meanwhile has no file.
                    let file = try? String(contentsOfFile: "\(threads)/\($0)/stat", encoding: .utf8)
                    // The state follows the name, which is in parentheses.
                    return file?.split(separator: ")").last?.hasPrefix(" T") ?? false
                }
            })
    }

    public var isRunning: Bool { self.exitStatus.withLock { $0 == nil } }

    /// Waits for the process to end, and for the ends of its output and errors. Other processes may
    /// keep these open, so the second wait takes two seconds at most.
    @discardableResult
    public func waitForExit(within time: Duration = Deadline.defaultTimeout) throws -> ExitStatus {
        let exitStatus = try Deadline.wait(
            for:
                "\(self.name) to end; "
                + "its last lines:\n\(self.errors.lines.suffix(20).joined(separator: "\n"))",
            within: time
        ) { self.exitStatus.withLock { $0 } }
        try? Deadline.wait(
            for: "the ends of its output and errors", within: .seconds(2),
            untilTrue: { self.output.isClosed && self.errors.isClosed })
        return exitStatus
    }

    /// Writes a line to its standard input.
    public func writeLine(_ line: String) throws {
        let bytes = Array((line + "\n").utf8)
        let written = self.input.withLock { $0.map { write($0, bytes, bytes.count) } }
        guard written == bytes.count else {
            throw TestFailure("\(self.name) does not read its standard input")
        }
    }

    public func closeInput() {
        self.input.withLock {
            if let descriptor = $0 { close(descriptor) }
            $0 = nil
        }
    }

    private func reap() {
        // Waits without reaping, so that the process id cannot be reused before the exit status is
        // set.
        var info = siginfo_t()
        while waitid(P_PID, id_t(self.id), &info, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        self.exitStatus.withLock { exitStatus in
            var status: Int32 = 0
            while waitpid(self.id, &status, 0) < 0, errno == EINTR {}
            exitStatus =
                status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: status & 0x7f)
        }
    }

    /// Ignores SIGPIPE: a write to a process that has ended must fail and not end the tests.
    private static let ignoreBrokenPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

    private static func environment(with added: [String: String]) -> [String] {
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CONFAB_") }
        variables.merge(added) { $1 }
        return variables.map { "\($0.key)=\($0.value)" }
    }

    private static func spawn(
        _ command: [String], _ environment: [String]
    ) throws -> (id: pid_t, streams: (input: Int32, output: Int32, errors: Int32)) {
        let input = try PrivatePipe.descriptors()
        let output = try PrivatePipe.descriptors()
        let errors = try PrivatePipe.descriptors()
        defer { for end in [input.reading, output.writing, errors.writing] { close(end) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (stream, end) in [input.reading, output.writing, errors.writing].enumerated() {
            posix_spawn_file_actions_adddup2(&actions, end, Int32(stream))
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var standard = sigset_t()
        sigemptyset(&standard)
        sigaddset(&standard, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &standard)
        // The threads of tests block SIGTERM, and a child would inherit that mask.
        var blocked = sigset_t()
        sigemptyset(&blocked)
        posix_spawnattr_setsigmask(&attributes, &blocked)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var id: pid_t = 0
        let failure = posix_spawn(&id, command[0], &actions, &attributes, &argv, &envp)
        guard failure == 0 else {
            throw TestFailure("\(command) could not be started: errno \(failure)")
        }
        return (id, (input.writing, output.reading, errors.reading))
    }
}

/// Runs a program to completion.
public func run(
    _ program: String, _ arguments: [String], environment: [String: String] = [:],
    folder: String = "/", input: String? = nil, within time: Duration = Deadline.programTimeout
) throws -> (exitStatus: ChildProcess.ExitStatus, output: String, errors: String) {
    let process = try ChildProcess(program, arguments, environment: environment, folder: folder)
    defer { process.kill() }
    if let input { try process.writeLine(input) }
    process.closeInput()
    let exitStatus = try process.waitForExit(within: time)
    return (exitStatus, try process.output.wholeText(), try process.errors.wholeText())
}
