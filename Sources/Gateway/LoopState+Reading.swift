import EventLoop
import HTTPWire
import TLS

/// Reads from connections.
extension LoopState {
    mutating func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.beginTurn()
        guard self.isCurrent(token) else { return }
        let slot = Int(token.slot)
        switch self.connections[slot]!.phase {
        case .listening(let listener):
            self.accept(from: listener, token)
        case .handshake:
            self.performHandshake(slot)
        case .http, .webSocket:
            if writable { self.drainBacklog(slot) }
            guard self.isCurrent(token) else { return }
            if self.connections[slot]!.isReadingPaused {
                self.updateInterest(slot)
            } else if readable || self.connections[slot]!.tls != nil {
                // OpenSSL may have needed to write before it could read.
                self.read(token)
            }
        }
    }

    mutating func read(_ token: SocketToken) {
        guard self.isCurrent(token) else { return }
        let slot = Int(token.slot)
        switch self.connections[slot]!.closeState {
        case .open, .lingerWhenSent: break
        case .closeWhenSent: return  // The peer may be gone, but frames are still unsent.
        case .lingering: return self.discardInput(slot)
        }
        // OpenSSL buffers input that the kernel no longer reports as readable. Therefore the loop
        // reads until OpenSSL has none, within a limit.
        let isTLS = self.table.hot[slot].flags.contains(.isTLS)
        for _ in 0..<(isTLS ? 64 : 1) {
            guard self.isCurrent(token), !self.connections[slot]!.isReadingPaused else { return }
            if !self.readOnce(slot) { return }
        }
        if isTLS { self.rereadQueue.append(token) }
    }

    /// Discards input after the last frame. It bypasses TLS, which would read no more after its
    /// close alert: the kernel would then reset the connection because of unread bytes.
    private mutating func discardInput(_ slot: Int) {
        switch Socket(descriptor: self.table.hot[slot].descriptor).read(into: self.readBuffer) {
        case .bytes(let count): self.counters.bytesIn &+= UInt64(count)
        case .wouldBlock: break
        case .endOfStream, .failed: self.drop(slot)
        }
    }

    /// - Returns: whether there may be more input.
    private mutating func readOnce(_ slot: Int) -> Bool {
        let unreadCount = self.connections[slot]!.unread.count
        if unreadCount == 0 {
            guard let count = self.receive(slot, into: self.readBuffer) else { return false }
            self.consume(slot, UnsafeMutableRawBufferPointer(rebasing: self.readBuffer[..<count]))
            return true
        }
        // Appends to the partial frame, so that a large frame is gathered in one place.
        var unread: [UInt8] = []
        swap(&unread, &self.connections[slot]!.unread)
        let space = min(max(self.bytesWanted(slot) - unreadCount, 4096), 256 << 10)
        unread.append(contentsOf: repeatElement(0, count: space))
        let count = unread.withUnsafeMutableBytes {
            self.receive(slot, into: UnsafeMutableRawBufferPointer(rebasing: $0[unreadCount...]))
        }
        guard self.isOccupied(slot) else { return false }
        unread.removeLast(space - (count ?? 0))
        if let count, count > 0, unread.count >= self.bytesWanted(slot) {
            let token = self.connections[slot]!.token
            unread.withUnsafeMutableBytes { self.consume(slot, $0, from: token) }
        } else {
            self.connections[slot]!.unread = unread
        }
        return count != nil
    }

    private func bytesWanted(_ slot: Int) -> Int {
        if case .webSocket(let webSocket) = self.connections[slot]!.phase {
            webSocket.reader.neededByteCount
        } else {
            0
        }
    }

    /// Reads available input. Nil if there is none, or if the connection has been dropped.
    private mutating func receive(_ slot: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        if self.table.hot[slot].flags.contains(.isTLS), let tls = self.connections[slot]!.tls {
            switch tls.read(into: buffer) {
            case .bytes(let count): return self.countReceived(slot, count)
            case .wantRead: return nil
            case .wantWrite:
                self.loop.setInterest(self.connections[slot]!.token, read: true, write: true)
                return nil
            case .endOfStream: self.peerFinished(slot)
            case .failed: self.drop(slot)
            }
            return nil
        }
        switch Socket(descriptor: self.table.hot[slot].descriptor).read(into: buffer) {
        case .bytes(let count): return self.countReceived(slot, count)
        case .wouldBlock: return nil
        case .endOfStream: self.peerFinished(slot)
        case .failed: self.drop(slot)
        }
        return nil
    }

    /// The peer has shut down its side and sends no more. Responses are still sent, because it may
    /// be reading.
    private mutating func peerFinished(_ slot: Int) {
        guard case .http = self.connections[slot]!.phase,
            self.table.hot[slot].frameCount > 0 || !self.connections[slot]!.backlog.isEmpty
        else {
            self.drop(slot)
            return
        }
        self.beginClose(slot, .closeWhenSent)
    }

    private mutating func countReceived(_ slot: Int, _ count: Int) -> Int {
        self.counters.bytesIn &+= UInt64(count)
        return count
    }

    /// Consumes complete requests and frames, and stores the rest.
    private mutating func consume(_ slot: Int, _ buffer: UnsafeMutableRawBufferPointer) {
        self.consume(slot, buffer, from: self.connections[slot]!.token)
    }

    private mutating func consume(
        _ slot: Int, _ buffer: UnsafeMutableRawBufferPointer, from token: SocketToken
    ) {
        var offset = 0
        while offset < buffer.count, self.isCurrent(token), !self.connections[slot]!.isReadingPaused
        {
            guard self.connections[slot]!.closeState == .open else { return }
            let before = offset
            switch self.connections[slot]!.phase {
            case .http(let exchange): self.readRequests(slot, exchange, buffer, &offset)
            case .webSocket(let webSocket):
                self.readFrames(slot, webSocket, buffer, &offset)
                // Only whole frames count as activity. Otherwise a client that sends single bytes
                // would keep its buffers for ever.
                if offset > before, self.isCurrent(token) {
                    self.table.hot[slot].lastReceivedTick = self.tickNumber
                }
            case .handshake, .listening: return
            }
            if offset == before { break }
        }
        guard offset < buffer.count, self.isCurrent(token) else { return }
        self.connections[slot]!.unread = Array(UnsafeRawBufferPointer(rebasing: buffer[offset...]))
    }

    /// Pauses reading until `resumeReading`, because the client waits for an answer. Most answers
    /// come in the same turn, so the kernel is notified only when more input arrives.
    mutating func pauseReading(_ slot: Int) {
        self.connections[slot]!.isReadingPaused = true
    }

    mutating func resumeReading(_ slot: Int) {
        guard self.connections[slot]!.isReadingPaused else { return }
        self.connections[slot]!.isReadingPaused = false
        // A client that was made to wait is not idle.
        self.table.hot[slot].lastReceivedTick = self.tickNumber
        self.updateInterest(slot)
        let token = self.connections[slot]!.token
        if !self.connections[slot]!.unread.isEmpty {
            var unread: [UInt8] = []
            swap(&unread, &self.connections[slot]!.unread)
            unread.withUnsafeMutableBytes { self.consume(slot, $0, from: token) }
        }
        if self.isCurrent(token), case .webSocket(let webSocket) = self.connections[slot]!.phase,
            let engine = webSocket.engine,
            !engine.unreadPosts.isEmpty
        {
            self.readPostedMessages(slot, webSocket, engine)
        }
        if self.isCurrent(token), self.connections[slot]!.tls != nil {
            self.rereadQueue.append(token)
        }
    }

    mutating func updateInterest(_ slot: Int) {
        // Field by field, because a copy of the connection costs more than the call.
        let reads =
            !self.connections[slot]!.isReadingPaused
            && self.connections[slot]!.closeState != .closeWhenSent
        self.loop.setInterest(
            self.connections[slot]!.token, read: reads,
            write: !self.connections[slot]!.backlog.isEmpty)
    }
}
