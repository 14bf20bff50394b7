import Foundation
import Synchronization

/// A program in a terminal of its own, whose screen a test reads.
public final class PseudoTerminal: Sendable {
    private struct State {
        var screen: TerminalScreen
        var isClosed = false
    }

    // `TIOCSPTLCK`, `TIOCGPTN` and `POSIX_SPAWN_SETSID`, which Swift does not import.
    private static let setLock: UInt = 0x4004_5431
    private static let getNumber: UInt = 0x8004_5430
    private static let newSession: Int32 = 0x80

    private let master: Int32
    private let id: pid_t
    private let state: Mutex<State>

    /// The variables that configure a program under a sanitizer.
    private static let sanitizerVariables = [
        "ASAN_OPTIONS", "ASAN_SYMBOLIZER_PATH", "LSAN_OPTIONS", "TSAN_OPTIONS", "LD_PRELOAD",
        "SWIFT_BACKTRACE",
    ]

    /// - Parameter environment: the environment of the program. A sanitizer's variables are added.
    public init(
        _ command: [String], columns: Int, rows: Int, environment: [String: String]
    ) throws {
        self.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var lock: Int32 = 0
        var number: UInt32 = 0
        guard self.master >= 0, ioctl(self.master, Self.setLock, &lock) == 0,
            ioctl(self.master, Self.getNumber, &number) == 0
        else { throw TestFailure("no terminal: errno \(errno)") }
        let name = "/dev/pts/\(number)"
        self.state = Mutex(State(screen: TerminalScreen(columns: columns, rows: rows)))
        Self.setSize(self.master, columns, rows)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // The first terminal that the leader of a session opens controls it, so that the program
        // receives SIGWINCH and Ctrl-C.
        for stream in 0..<3 {
            posix_spawn_file_actions_addopen(&actions, Int32(stream), name, O_RDWR, 0)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(Self.newSession | POSIX_SPAWN_SETSIGMASK))
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] =
            environment.merging(Self.sanitizerEnvironment) { $1 }
            .map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in argv + envp { free(text) } }
        var id: pid_t = 0
        let failure = posix_spawn(&id, command[0], &actions, &attributes, &argv, &envp)
        self.id = id
        guard failure == 0 else { throw TestFailure("\(command) does not start: \(failure)") }
        Thread.detachNewThread { self.collect() }
    }

    private static var sanitizerEnvironment: [String: String] {
        ProcessInfo.processInfo.environment.filter { self.sanitizerVariables.contains($0.key) }
    }

    private static func setSize(_ descriptor: Int32, _ columns: Int, _ rows: Int) {
        // `struct winsize`: rows, columns, and both in pixels.
        var size: (UInt16, UInt16, UInt16, UInt16) = (UInt16(rows), UInt16(columns), 0, 0)
        _ = ioctl(descriptor, UInt(TIOCSWINSZ), &size)
    }

    private func collect() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(self.master, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            // The master of a closed terminal fails with EIO.
            guard count > 0 else { break }
            self.state.withLock { $0.screen.write(buffer[..<count]) }
        }
        self.state.withLock { $0.isClosed = true }
    }

    /// Types keys.
    public func type(_ keys: String) {
        let bytes = Array(keys.utf8)
        _ = write(self.master, bytes, bytes.count)
    }

    /// Changes the size of the terminal, as a user does with its window.
    public func resize(columns: Int, rows: Int) {
        self.state.withLock { $0.screen.resize(columns: columns, rows: rows) }
        Self.setSize(self.master, columns, rows)
    }

    /// The rows of the screen, without blanks at their ends.
    public var rows: [String] { self.state.withLock { $0.screen.rows } }
    /// The row and the column of the cursor.
    public var cursor: (row: Int, column: Int) { self.state.withLock { $0.screen.cursor } }
    /// Whether the terminal is as a shell needs it: its first screen, a visible cursor, wrapped
    /// lines, echo and line input.
    public var isRestored: Bool {
        var settings = termios()
        guard tcgetattr(self.master, &settings) == 0 else { return false }
        return settings.c_lflag & tcflag_t(ICANON | ECHO) == tcflag_t(ICANON | ECHO)
            && self.state.withLock {
                !$0.screen.isAlternate && $0.screen.isCursorVisible && $0.screen.wraps
            }
    }
    /// Sends a signal to the program.
    public func signal(_ number: Int32) { kill(self.id, number) }
    /// Control sequences that the screen does not know.
    public var unknownSequences: [String] { self.state.withLock { $0.screen.unknownSequences } }

    /// Waits until the screen has a row with this text, and returns all rows.
    @discardableResult
    public func awaitRow(with text: String, within time: Duration = Deadline.defaultTimeout) throws
        -> [String]
    {
        try self.awaitScreen("\"\(text)\"", within: time) { $0.contains { $0.contains(text) } }
    }

    /// Waits until the rows fulfil a condition.
    @discardableResult
    public func awaitScreen(
        _ description: String, within time: Duration = Deadline.defaultTimeout,
        where isFulfilled: ([String]) -> Bool
    ) throws -> [String] {
        let deadline = Deadline(within: time)
        while true {
            let rows = self.rows
            if isFulfilled(rows) { return rows }
            if deadline.isExpired {
                throw TestFailure(
                    "the screen does not show \(description):\n\(rows.joined(separator: "\n"))")
            }
            usleep(10_000)
        }
    }

    /// Waits for the end of the program and its last output, and returns its exit status.
    public func waitForExit(within time: Duration = Deadline.defaultTimeout) throws -> Int32 {
        var status: Int32 = 0
        try Deadline.wait(
            for: "the program in the terminal to end", within: time,
            untilTrue: { waitpid(self.id, &status, WNOHANG) == self.id })
        try Deadline.wait(
            for: "the terminal's last output", within: time,
            untilTrue: { self.state.withLock { $0.isClosed } })
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f)
    }

    /// Ends the program if it is running.
    public func close() {
        kill(self.id, SIGKILL)
        Glibc.close(self.master)
    }
}
