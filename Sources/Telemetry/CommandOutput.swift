internal import Glibc
internal import Synchronization

/// What a command prints: everything that goes to one descriptor goes through one of these, which remembers whether it arrived.
///
/// A full disk is found out by the write and by nothing else. A command that does not look at it has made half a file, or none, and
/// a script that goes by its exit status takes that for a whole one.
public final class CommandOutput: Sendable {
    /// Standard output of the process.
    public static let standard = CommandOutput(descriptor: STDOUT_FILENO)

    private struct State {
        var hasWritten = false
        /// Of the first write that failed; nothing is written after it.
        var failureCode: Int32?
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    /// - Parameter descriptor: where to; it stays open until `close`.
    public init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Writes the whole text, and waits where its reader is slow.
    ///
    /// - Returns: false where a part of it, or of an earlier text, could not be written.
    @discardableResult
    public func write(_ text: String) -> Bool {
        self.state.withLock { state in
            guard state.failureCode == nil else { return false }
            state.hasWritten = state.hasWritten || !text.isEmpty
            state.failureCode = Self.writeAll(text, to: self.descriptor)
            return state.failureCode == nil
        }
    }

    /// Closes the descriptor if something was written: some file systems say only then that there is no room.
    public func close() {
        self.state.withLock { state in
            guard state.hasWritten else { return }
            if Glibc.close(self.descriptor) != 0, state.failureCode == nil {
                state.failureCode = errno
            }
        }
    }

    /// Whether something is missing from the output.
    public var hasFailed: Bool { self.state.withLock { $0.failureCode != nil } }

    /// Why something is missing, in the system's words. Nil where nothing is, and where the reader has closed its end: then it has all that it wants.
    public var failureReason: String? {
        self.state.withLock { state in
            state.failureCode.flatMap { $0 == EPIPE ? nil : String(cString: strerror($0)) }
        }
    }

    /// - Returns: why it was not written; nil when it was.
    private static func writeAll(_ text: String, to descriptor: Int32) -> Int32? {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count > 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
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
