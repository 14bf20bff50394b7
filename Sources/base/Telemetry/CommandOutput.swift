internal import Glibc
internal import Synchronization

/// The output of a command. All writes to a descriptor use one instance, which records whether a
/// write failed.
///
/// A full disk is reported only by the write. A command that ignores the result leaves a truncated
/// or empty file, and a script that checks the exit status considers it complete.
public final class CommandOutput: Sendable {
    /// The standard output of the process.
    public static let standard = CommandOutput(descriptor: STDOUT_FILENO)

    private struct State {
        var hasWritten = false
        /// The error code of the first failed write. Nothing is written after it.
        var failureCode: Int32?
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    /// - Parameter descriptor: the descriptor to write to. It stays open until `close`.
    public init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Writes the whole text. Blocks while the reader is slow.
    ///
    /// - Returns: false if a part of this text or of an earlier one could not be written.
    @discardableResult
    public func write(_ text: String) -> Bool {
        self.state.withLock { state in
            guard state.failureCode == nil else { return false }
            state.hasWritten = state.hasWritten || !text.isEmpty
            state.failureCode = Self.writeAll(text, to: self.descriptor)
            return state.failureCode == nil
        }
    }

    /// Closes the descriptor if something was written. Some file systems report a full disk only
    /// then.
    public func close() {
        self.state.withLock { state in
            guard state.hasWritten else { return }
            if Glibc.close(self.descriptor) != 0, state.failureCode == nil {
                state.failureCode = errno
            }
        }
    }

    /// Whether a part of the output could not be written.
    public var hasFailed: Bool { self.state.withLock { $0.failureCode != nil } }

    /// The system's message for the failed write. Nil if no write failed, or if the reader closed
    /// its end because it needs no more output.
    public var failureReason: String? {
        self.state.withLock { state in
            state.failureCode.flatMap { $0 == EPIPE ? nil : String(cString: strerror($0)) }
        }
    }

    /// - Returns: the error code, or nil on success.
    private static func writeAll(_ text: String, to descriptor: Int32) -> Int32? {
        var text = text
        return text.withUTF8 { bytes in
            var remaining = UnsafeRawBufferPointer(bytes)
            while !remaining.isEmpty {
                let count = Glibc.write(descriptor, remaining.baseAddress, remaining.count)
                if count > 0 {
                    remaining = UnsafeRawBufferPointer(rebasing: remaining[count...])
                } else if errno == EAGAIN {
                    // Another process that shares the descriptor has made it non-blocking.
                    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&entry, 1, 1000)
                } else if errno != EINTR {
                    return errno
                }
            }
            return nil
        }
    }
}
