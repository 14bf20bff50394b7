internal import Glibc

/// Turns the lines that libraries and the Swift runtime write to standard error into log events, so
/// that every line of a JSON log is JSON.
///
/// Standard error becomes a pipe, which a thread reads. The log itself is written to `destination`.
public final class StandardErrorCapture: Sendable {
    /// A longer line becomes several events.
    private static let lineByteLimit = 1024

    /// The former standard error.
    public let destination: Int32
    private let descriptor: Int32
    private let pipe: Int32
    private let ended = Semaphore()

    /// Nil if the process has no free file descriptors.
    ///
    /// - Parameter descriptor: the descriptor of standard error.
    public init?(of descriptor: Int32 = 2) {
        var descriptors: [Int32] = [-1, -1]
        guard Glibc.pipe(&descriptors) == 0 else { return nil }
        let ends = (reading: descriptors[0], writing: descriptors[1])
        _ = fcntl(ends.reading, F_SETFD, FD_CLOEXEC)
        self.destination = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard self.destination >= 0, dup2(ends.writing, descriptor) >= 0 else {
            close(ends.reading)
            close(ends.writing)
            return nil
        }
        close(ends.writing)
        self.descriptor = descriptor
        self.pipe = ends.reading
    }

    /// Logs the lines from now on.
    ///
    /// - Parameter logger: writes to `destination`.
    public func start(_ logger: Logger) {
        Self.delayCrashes()
        DetachedThread.start {
            self.read { logger.warning("standard error written", ["text": .text($0)]) }
            self.ended.post()
        }
    }

    /// Restores standard error, and waits until all lines before this call are logged.
    public func stop() {
        dup2(self.destination, self.descriptor)
        _ = self.ended.wait(for: .seconds(1))
    }

    private func read(_ log: (String) -> Void) {
        var line: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(self.pipe, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            for byte in chunk[..<count] {
                if byte != UInt8(ascii: "\n") { line.append(byte) }
                guard byte == UInt8(ascii: "\n") || line.count == Self.lineByteLimit else {
                    continue
                }
                if !line.isEmpty { log(String(decoding: line, as: UTF8.self)) }
                line.removeAll(keepingCapacity: true)
            }
        }
        if !line.isEmpty { log(String(decoding: line, as: UTF8.self)) }
        close(self.pipe)
    }

    /// Lets a crashing thread wait a moment before the process ends. Otherwise the message about
    /// the crash would still be in the pipe.
    private static func delayCrashes() {
        for signal in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] {
            var action = sigaction()
            // A sanitizer has handlers of its own.
            guard sigaction(signal, nil, &action) == 0,
                action.__sigaction_handler.sa_handler == nil
            else { continue }
            action.__sigaction_handler.sa_handler = { _ in
                var time = timespec(tv_sec: 0, tv_nsec: 300_000_000)
                nanosleep(&time, nil)
            }
            // After the handler, the instruction or abort(3) causes the signal again, and the
            // default action ends the process.
            action.sa_flags = Int32(truncatingIfNeeded: SA_RESETHAND)
            sigaction(signal, &action, nil)
        }
    }
}
