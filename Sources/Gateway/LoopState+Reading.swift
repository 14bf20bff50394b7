import EventLoop
import HTTPWire
import TLS

/// Reads from connections.
extension LoopState {
    mutating func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.beginTurn()
        guard let connection = self.connection(token) else { return }
        switch connection.phase {
        case .listening(let listener):
            self.accept(from: listener, connection.listenerRole)
        case .handshake:
            self.performHandshake(connection)
        case .http, .webSocket:
            if writable { self.drainBacklog(connection) }
            guard connection.isConnected else { return }
            if connection.isReadingPaused {
                self.updateInterest(connection)
            } else if readable || connection.tls != nil {
                // OpenSSL may have needed to write before it could read.
                self.read(connection)
            }
        }
    }

    mutating func read(_ connection: Connection) {
        guard connection.isConnected else { return }
        switch connection.closeState {
        case .open, .lingerWhenSent: break
        case .closeWhenSent: return  // The peer may be gone, but frames are still unsent.
        case .lingering: return self.discardInput(connection)
        }
        // OpenSSL buffers input that the kernel no longer reports as readable. Therefore the loop
        // reads until OpenSSL has none, within a limit.
        let isTLS = self.table.hot[connection.slot].flags.contains(.isTLS)
        for _ in 0..<(isTLS ? 64 : 1) {
            guard connection.isConnected, !connection.isReadingPaused else { return }
            if !self.readOnce(connection) { return }
        }
        if isTLS { self.rereadQueue.append(connection.token) }
    }

    /// Discards input after the last frame. It bypasses TLS, which would read no more after its
    /// close alert: the kernel would then reset the connection because of unread bytes.
    private mutating func discardInput(_ connection: Connection) {
        switch Socket(descriptor: self.table.hot[connection.slot].descriptor).read(
            into: self.readBuffer)
        {
        case .bytes(let count): self.counters.bytesIn &+= UInt64(count)
        case .wouldBlock: break
        case .endOfStream, .failed: self.drop(connection)
        }
    }

    /// - Returns: whether there may be more input.
    private mutating func readOnce(_ connection: Connection) -> Bool {
        let unreadCount = connection.unread.count
        if unreadCount == 0 {
            guard let count = self.receive(connection, into: self.readBuffer) else { return false }
            self.consume(
                connection, UnsafeMutableRawBufferPointer(rebasing: self.readBuffer[..<count]))
            return true
        }
        // Appends to the partial frame, so that a large frame is gathered in one place.
        var unread: [UInt8] = []
        swap(&unread, &connection.unread)
        let space = min(max(self.bytesWanted(connection) - unreadCount, 4096), 256 << 10)
        unread.append(contentsOf: repeatElement(0, count: space))
        let count = unread.withUnsafeMutableBytes {
            self.receive(
                connection, into: UnsafeMutableRawBufferPointer(rebasing: $0[unreadCount...]))
        }
        guard connection.isConnected else { return false }
        unread.removeLast(space - (count ?? 0))
        if let count, count > 0, unread.count >= self.bytesWanted(connection) {
            unread.withUnsafeMutableBytes { self.consume(connection, $0) }
        } else {
            connection.unread = unread
        }
        return count != nil
    }

    private func bytesWanted(_ connection: Connection) -> Int {
        if case .webSocket(let webSocket) = connection.phase {
            webSocket.reader.neededByteCount
        } else {
            0
        }
    }

    /// Reads available input. Nil if there is none, or if the connection has been dropped.
    private mutating func receive(
        _ connection: Connection, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int? {
        if self.table.hot[connection.slot].flags.contains(.isTLS), let tls = connection.tls {
            switch tls.read(into: buffer) {
            case .bytes(let count): return self.countReceived(connection, count)
            case .wantRead: return nil
            case .wantWrite:
                self.loop.setInterest(connection.token, read: true, write: true)
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
    private mutating func peerFinished(_ connection: Connection) {
        guard case .http = connection.phase,
            self.table.hot[connection.slot].frameCount > 0 || !connection.backlog.isEmpty
        else {
            self.drop(connection)
            return
        }
        self.beginClose(connection, .closeWhenSent)
    }

    private mutating func countReceived(_ connection: Connection, _ count: Int) -> Int {
        self.counters.bytesIn &+= UInt64(count)
        return count
    }

    /// Consumes complete requests and frames, and stores the rest.
    private mutating func consume(_ connection: Connection, _ buffer: UnsafeMutableRawBufferPointer)
    {
        var offset = 0
        while offset < buffer.count, connection.isConnected, !connection.isReadingPaused {
            guard connection.closeState == .open else { return }
            let before = offset
            switch connection.phase {
            case .http(let exchange): self.readRequests(connection, exchange, buffer, &offset)
            case .webSocket(let webSocket):
                self.readFrames(connection, webSocket, buffer, &offset)
                // Only whole frames count as activity. Otherwise a client that sends single bytes
                // would keep its buffers for ever.
                if offset > before, connection.isConnected {
                    self.table.hot[connection.slot].lastReceivedTick = self.tickNumber
                }
            case .handshake, .listening: return
            }
            if offset == before { break }
        }
        guard offset < buffer.count, connection.isConnected else { return }
        connection.unread = Array(UnsafeRawBufferPointer(rebasing: buffer[offset...]))
    }

    /// Pauses reading until `resumeReading`, because the client waits for an answer. Most answers
    /// come in the same turn, so the kernel is notified only when more input arrives.
    mutating func pauseReading(_ connection: Connection) {
        connection.isReadingPaused = true
    }

    mutating func resumeReading(_ connection: Connection) {
        guard connection.isReadingPaused else { return }
        connection.isReadingPaused = false
        // A client that was made to wait is not idle.
        self.table.hot[connection.slot].lastReceivedTick = self.tickNumber
        self.updateInterest(connection)
        if !connection.unread.isEmpty {
            var unread: [UInt8] = []
            swap(&unread, &connection.unread)
            unread.withUnsafeMutableBytes { self.consume(connection, $0) }
        }
        if connection.isConnected, case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine,
            !engine.unreadPosts.isEmpty
        {
            self.readPostedMessages(connection, webSocket, engine)
        }
        if connection.isConnected, connection.tls != nil {
            self.rereadQueue.append(connection.token)
        }
    }

    mutating func updateInterest(_ connection: Connection) {
        let reads =
            !connection.isReadingPaused
            && connection.closeState != .closeWhenSent
        self.loop.setInterest(
            connection.token, read: reads,
            write: !connection.backlog.isEmpty)
    }
}
