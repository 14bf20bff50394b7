internal import Glibc

/// Reads standard input on a thread of its own, one chunk per request.
///
/// The event loop does not watch standard input, because that would require a non-blocking
/// descriptor. This flag is shared with every process that has the terminal open, including the
/// shell. And epoll cannot watch files at all.
final class InputReader: Sendable {
    private let input: Int32
    private let commandPipe: (read: Int32, write: Int32)

    private enum PipeCommand {
        static let readInput: UInt8 = 1
        static let stop: UInt8 = 2
    }

    private static let chunkByteCount = 4096

    /// Nil when no pipe can be created.
    init?(_ input: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        self.input = input
        self.commandPipe = (ends[0], ends[1])
    }

    deinit {
        close(self.commandPipe.read)
        close(self.commandPipe.write)
    }

    /// Requests another chunk, from any thread.
    func requestInput() { self.send(PipeCommand.readInput) }

    /// Ends `run`, from any thread.
    func stop() { self.send(PipeCommand.stop) }

    private func send(_ command: UInt8) {
        var command = command
        while write(self.commandPipe.write, &command, 1) < 0, errno == EINTR {}
    }

    /// Works until `stop()`. An empty chunk means the end of the input.
    func run(_ receive: (ArraySlice<UInt8>) -> Void) {
        var chunk = [UInt8](repeating: 0, count: Self.chunkByteCount)
        var requested = 0
        var hasEnded = false
        while true {
            var entries = [pollfd(fd: self.commandPipe.read, events: Int16(POLLIN), revents: 0)]
            if requested > 0, !hasEnded {
                entries.append(pollfd(fd: self.input, events: Int16(POLLIN), revents: 0))
            }
            guard poll(&entries, nfds_t(entries.count), -1) > 0 else { continue }
            if entries[0].revents != 0 {
                var command: UInt8 = 0
                guard read(self.commandPipe.read, &command, 1) == 1 else { continue }
                switch command {
                case PipeCommand.readInput: requested += 1
                default: return
                }
            }
            guard entries.count > 1, entries[1].revents != 0 else { continue }
            let count = read(self.input, &chunk, chunk.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            hasEnded = count <= 0
            requested -= 1
            receive(chunk[..<max(0, count)])
        }
    }
}
