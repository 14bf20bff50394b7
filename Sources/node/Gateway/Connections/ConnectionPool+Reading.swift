import EventLoop
import HTTPWire
import TLS

/// Reads from sockets.
extension ConnectionPool {
    /// Reads available input. Nil if there is none, or if the connection has been dropped.
    func receive(
        _ connection: Connection, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int? {
        if self.table.hot[connection.slot].flags.contains(.isTLS), let tls = connection.tls {
            switch tls.read(into: buffer) {
            case .bytes(let count): return self.countReceived(connection, count)
            case .wantRead: return nil
            case .wantWrite:
                self.context.loop.setInterest(connection.token, read: true, write: true)
                return nil
            case .endOfStream: self.peerFinished(connection)
            case .failed: self.drop(connection)
            }
            return nil
        }
        switch Socket(descriptor: self.table.hot[connection.slot].descriptor).read(into: buffer) {
        case .bytes(let count): return self.countReceived(connection, count)
        case .wouldBlock: return nil
        case .endOfStream: self.peerFinished(connection)
        case .failed: self.drop(connection)
        }
        return nil
    }

    /// The peer has shut down its side and sends no more. Responses are still sent, because it may
    /// be reading.
    private func peerFinished(_ connection: Connection) {
        guard case .http = connection.phase,
            self.table.hot[connection.slot].frameCount > 0 || !connection.backlog.isEmpty
        else {
            self.drop(connection)
            return
        }
        self.beginClose(connection, .closeWhenSent)
    }

    private func countReceived(_ connection: Connection, _ count: Int) -> Int {
        self.context.counters.bytesIn &+= UInt64(count)
        if self.table.hot[connection.slot].flags.isClosing { self.countClosingRead(connection) }
        return count
    }

    /// The client gets time to read the reason, but need not be read for all of it. Its timeout
    /// ends the connection.
    private func countClosingRead(_ connection: Connection) {
        connection.closingReads &+= 1
        guard connection.closingReads == Self.closingReadLimit else { return }
        self.pauseReading(connection)
        self.updateInterest(connection)
    }

    /// Enough for what a client has sent before it can have received the close.
    private static let closingReadLimit: UInt8 = 64

    /// Discards input after the last frame. It bypasses TLS, which would read no more after its
    /// close alert: the kernel would then reset the connection because of unread bytes.
    func discardInput(
        _ connection: Connection, into buffer: UnsafeMutableRawBufferPointer
    ) {
        switch Socket(descriptor: self.table.hot[connection.slot].descriptor).read(
            into: buffer)
        {
        case .bytes(let count): _ = self.countReceived(connection, count)
        case .wouldBlock: break
        case .endOfStream, .failed: self.drop(connection)
        }
    }

    /// Pauses reading until `resumeReading`, because the client waits for an answer. Most answers
    /// come in the same turn, so the kernel is notified only when more input arrives.
    func pauseReading(_ connection: Connection) { connection.isReadingPaused = true }

    /// Reads from the connection again. Input that is already buffered is consumed in this turn.
    func resumeReading(_ connection: Connection) {
        guard connection.isConnected, connection.isReadingPaused else { return }
        connection.isReadingPaused = false
        // A client that was made to wait is not idle.
        self.recordActivity(connection)
        self.updateInterest(connection)
        self.resumed.append(connection)
    }

    /// Reads the input that was buffered before the connection changed its protocol or its loop.
    func readBufferedInput(_ connection: Connection) {
        connection.isReadingPaused = true
        self.resumeReading(connection)
    }

    func updateInterest(_ connection: Connection) {
        let reads =
            !connection.isReadingPaused
            && connection.closeState != .closeWhenSent
        self.context.loop.setInterest(
            connection.token, read: reads,
            write: !connection.backlog.isEmpty && !self.isHeld(connection))
    }
}
