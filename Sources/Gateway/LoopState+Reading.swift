import EventLoop
import HTTPWire
import TLS

/// How connections are read.
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
                // OpenSSL may have waited for room to write before it could read.
                self.read(token)
            }
        }
    }

    mutating func read(_ token: SocketToken) {
        guard self.isCurrent(token) else { return }
        let slot = Int(token.slot)
        switch self.connections[slot]!.closeState {
        case .open, .lingerWhenSent: break
        case .closeWhenSent: return  // Its peer may have gone; what it was sent before has not.
        case .lingering: return self.discardInput(slot)
        }
        // OpenSSL holds what the kernel no longer shows as readable: read until it has nothing, within reason.
        let isTLS = self.table.hot[slot].flags.contains(.isTLS)
        for _ in 0..<(isTLS ? 64 : 1) {
            guard self.isCurrent(token), !self.connections[slot]!.isReadingPaused else { return }
            if !self.readOnce(slot) { return }
        }
        if isTLS { self.rereadQueue.append(token) }
    }

    /// What comes behind our last word: not by way of TLS, which has said goodbye and would read no more, so that the kernel
    /// reset the connection for what was left unread.
    private mutating func discardInput(_ slot: Int) {
        switch Socket(descriptor: self.table.hot[slot].descriptor).read(into: self.readBuffer) {
        case .bytes(let count): self.counters.bytesIn &+= UInt64(count)
        case .wouldBlock: break
        case .endOfStream, .failed: self.drop(slot)
        }
    }

    /// - Returns: whether there may be more.
    private mutating func readOnce(_ slot: Int) -> Bool {
        let kept = self.connections[slot]!.unread.count
        if kept == 0 {
            guard let count = self.receive(slot, into: self.readBuffer) else { return false }
            self.consume(slot, UnsafeMutableRawBufferPointer(rebasing: self.readBuffer[..<count]))
            return true
        }
        // Behind the beginning that is there: a large frame is gathered in one place.
        var unread: [UInt8] = []
        swap(&unread, &self.connections[slot]!.unread)
        let room = min(max(self.bytesWanted(slot) - kept, 4096), 256 << 10)
        unread.append(contentsOf: repeatElement(0, count: room))
        let count = unread.withUnsafeMutableBytes {
            self.receive(slot, into: UnsafeMutableRawBufferPointer(rebasing: $0[kept...]))
        }
        guard self.isOccupied(slot) else { return false }
        unread.removeLast(room - (count ?? 0))
        if let count, count > 0, unread.count >= self.bytesWanted(slot) {
            let token = self.connections[slot]!.token
            unread.withUnsafeMutableBytes { self.consume(slot, $0, from: token) }
        } else {
            self.connections[slot]!.unread = unread
        }
        return count != nil
    }

    private func bytesWanted(_ slot: Int) -> Int {
        if case .webSocket(let talk) = self.connections[slot]!.phase {
            talk.reader.neededByteCount
        } else {
            0
        }
    }

    /// Reads what has arrived; nil when there is nothing, or the connection has ended with this.
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

    /// The peer sends no more. What answers its requests still leaves: it may have closed its own side only.
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

    /// Uses what was read as far as it goes; what is left is kept for the next time.
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
            case .webSocket(let talk):
                self.readFrames(slot, talk, buffer, &offset)
                // Whole frames count as being heard, not bytes: else one that drips would keep its buffers for ever.
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

    /// Reads no more until `resumeReading`: the client waits for an answer that it asked for. Most answers come in the
    /// same turn, so the kernel is told only when the client sends more meanwhile.
    mutating func pauseReading(_ slot: Int) {
        self.connections[slot]!.isReadingPaused = true
    }

    mutating func resumeReading(_ slot: Int) {
        guard self.connections[slot]!.isReadingPaused else { return }
        self.connections[slot]!.isReadingPaused = false
        // Being made to wait is no silence.
        self.table.hot[slot].lastReceivedTick = self.tickNumber
        self.updateInterest(slot)
        let token = self.connections[slot]!.token
        if !self.connections[slot]!.unread.isEmpty {
            var unread: [UInt8] = []
            swap(&unread, &self.connections[slot]!.unread)
            unread.withUnsafeMutableBytes { self.consume(slot, $0, from: token) }
        }
        if self.isCurrent(token), case .webSocket(let talk) = self.connections[slot]!.phase,
            let engine = talk.engine,
            !engine.unreadPosts.isEmpty
        {
            self.readPostedMessages(slot, talk, engine)
        }
        if self.isCurrent(token), self.connections[slot]!.tls != nil {
            self.rereadQueue.append(token)
        }
    }

    mutating func updateInterest(_ slot: Int) {
        // Field by field: a copy of the connection costs more than all that is asked here.
        let reads =
            !self.connections[slot]!.isReadingPaused
            && self.connections[slot]!.closeState != .closeWhenSent
        self.loop.setInterest(
            self.connections[slot]!.token, read: reads,
            write: !self.connections[slot]!.backlog.isEmpty)
    }
}
