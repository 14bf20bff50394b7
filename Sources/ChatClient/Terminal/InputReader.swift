internal import Glibc

/// Does what may have to wait, on a thread that has nothing else to do: reads standard input, a piece for each time that it is asked for
/// one, and looks up host names.
///
/// Not watched by the loop: for that the descriptor would have to be non-blocking, and that setting belongs to everybody who has the same
/// terminal open, the shell that comes after us included. And files cannot be watched at all.
final class InputReader: Sendable {
    private let input: Int32
    private let commandPipe: (read: Int32, write: Int32)

    private enum PipeCommand {
        static let readInput: UInt8 = 1
        static let resolveHost: UInt8 = 2
        static let stop: UInt8 = 3
    }

    private static let chunkByteCount = 4096

    /// Nil when the system has no pipe left.
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

    /// Asks for another piece, from any thread.
    func requestInput() { self.send(PipeCommand.readInput) }

    /// Asks for the host's addresses, from any thread.
    func requestAddresses() { self.send(PipeCommand.resolveHost) }

    /// Ends `run`, from any thread.
    func stop() { self.send(PipeCommand.stop) }

    private func send(_ order: UInt8) {
        var order = order
        while write(self.commandPipe.write, &order, 1) < 0, errno == EINTR {}
    }

    /// Works until it is told to stop. An empty piece is the input's end.
    func run(_ take: (ArraySlice<UInt8>) -> Void, resolveHost lookUp: () -> Void) {
        var piece = [UInt8](repeating: 0, count: Self.chunkByteCount)
        var wanted = 0
        var hasEnded = false
        while true {
            var entries = [pollfd(fd: self.commandPipe.read, events: Int16(POLLIN), revents: 0)]
            if wanted > 0, !hasEnded {
                entries.append(pollfd(fd: self.input, events: Int16(POLLIN), revents: 0))
            }
            guard poll(&entries, nfds_t(entries.count), -1) > 0 else { continue }
            if entries[0].revents != 0 {
                var order: UInt8 = 0
                guard read(self.commandPipe.read, &order, 1) == 1 else { continue }
                switch order {
                case PipeCommand.readInput: wanted += 1
                case PipeCommand.resolveHost: lookUp()
                default: return
                }
            }
            guard entries.count > 1, entries[1].revents != 0 else { continue }
            let count = read(self.input, &piece, piece.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            hasEnded = count <= 0
            wanted -= 1
            take(piece[..<max(0, count)])
        }
    }
}
