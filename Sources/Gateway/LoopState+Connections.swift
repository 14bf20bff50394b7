import Bytes
import ChatCore
import ChatModel
import Cluster
import Configuration
import DialectKit
import EventLoop
import HTTPWire
import Identity
import JSON
import Synchronization
import TLS
import Telemetry

/// Connections: how they come, are read, and go.
extension LoopState {
    mutating func listen(_ listener: ListeningSocket, _ site: Site) throws(SocketError) {
        let token = try self.loop.register(listener.descriptor)
        self.place(
            Connection(token: token, peer: listener.address, site: site, tls: nil, stage: .listening(listener)), descriptor: listener.descriptor)
        self.listeners.append(token)
    }

    private mutating func place(_ connection: Connection, descriptor: Int32) {
        let slot = Int(connection.token.slot)
        while self.connections.count <= slot { self.connections.append(nil) }
        self.table.open(slot, descriptor: descriptor, isTLS: connection.tls != nil, at: self.tickNumber)
        self.connections[slot] = connection
    }

    func isCurrent(_ token: SocketToken) -> Bool {
        Int(token.slot) < self.connections.count && self.connections[Int(token.slot)]?.token == token
    }

    mutating func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.beginTurn()
        guard self.isCurrent(token) else { return }
        let slot = Int(token.slot)
        switch self.connections[slot]!.stage {
        case .listening(let listener):
            self.accept(from: listener, token)
        case .handshake:
            self.shakeHands(slot)
        case .http, .webSocket:
            if writable { self.drainBacklog(slot) }
            guard readable, self.isCurrent(token) else { return }
            if self.connections[slot]!.isReadingPaused { self.updateInterest(slot) } else { self.read(token) }
        }
    }

    // MARK: Coming

    private mutating func accept(from listener: ListeningSocket, _ token: SocketToken) {
        let site = self.connections[Int(token.slot)]!.site
        // So many at most, or nobody who is connected already gets a turn.
        for _ in 0..<64 {
            switch listener.accept() {
            case .accepted(let socket, let peer):
                self.take(socket, from: peer, at: site)
            case .wouldBlock:
                return
            case .tooManyDescriptors:
                self.pauseAccepting()
                return
            case .failed(let code):
                self.shared.logger.error("accept failed", ["errno": .integer(Int64(code))])
                self.pauseAccepting()
                return
            }
        }
    }

    private mutating func pauseAccepting() {
        if self.acceptsAgainAt == 0 { self.shared.logger.warning("no file descriptors left, accepting pauses") }
        self.acceptsAgainAt = self.now.monotonic + 1000
        for listener in self.listeners { self.loop.setInterest(listener, read: false, write: false) }
    }

    mutating func acceptAgain() {
        self.acceptsAgainAt = 0
        for listener in self.listeners { self.loop.setInterest(listener, read: true, write: false) }
    }

    private mutating func take(_ socket: Socket, from peer: SocketAddress, at site: Site) {
        var tls: TLSConnection?
        if site == .clients, let context = self.live.tls {
            do throws(TLSError) {
                tls = try TLSConnection(accepting: socket.descriptor, context)
            } catch {
                self.shared.logger.error("TLS failed", ["reason": .text(error.description)])
                socket.close()
                return
            }
        }
        do throws(SocketError) {
            let token = try self.loop.register(socket.descriptor)
            self.counters.accepted += 1
            if site == .clients { self.shared.connectionCount.add(1, ordering: .relaxed) }
            self.place(
                Connection(token: token, peer: peer, site: site, tls: tls, stage: tls == nil ? .http(HTTPExchange()) : .handshake),
                descriptor: socket.descriptor)
            self.setDeadline(Int(token.slot), after: self.live.limits.header)
        } catch {
            self.shared.logger.warning("connection not taken", ["reason": .text(error.description)])
            socket.close()
        }
    }

    private mutating func shakeHands(_ slot: Int) {
        guard let tls = self.connections[slot]?.tls, let token = self.connections[slot]?.token else { return }
        switch tls.handshake() {
        case .done:
            self.connections[slot]?.stage = .http(HTTPExchange())
            self.setDeadline(slot, after: self.live.limits.header)
            self.loop.setInterest(token, read: true, write: false)
            self.read(token)
        case .wantRead: self.loop.setInterest(token, read: true, write: false)
        case .wantWrite: self.loop.setInterest(token, read: true, write: true)
        case .failed(let error):
            self.shared.logger.debug("TLS handshake failed", ["peer": .text(self.connections[slot]!.peer.text), "reason": .text(error.description)])
            self.drop(slot)
        }
    }

    // MARK: Reading

    mutating func read(_ token: SocketToken) {
        guard self.isCurrent(token) else { return }
        let slot = Int(token.slot)
        // OpenSSL holds what the kernel no longer shows as readable: read until it has nothing, within reason.
        let isTLS = self.table.hot[slot].flags.contains(.isTLS)
        for _ in 0..<(isTLS ? 64 : 1) {
            guard self.isCurrent(token), !self.connections[slot]!.isReadingPaused else { return }
            if !self.readOnce(slot) { return }
        }
        if isTLS { self.readAgain.append(token) }
    }

    /// - Returns: whether there may be more.
    private mutating func readOnce(_ slot: Int) -> Bool {
        let kept = self.connections[slot]!.unread.count
        if kept == 0 {
            guard let count = self.take(slot, into: self.readBuffer) else { return false }
            self.consume(slot, UnsafeMutableRawBufferPointer(rebasing: self.readBuffer[..<count]))
            return true
        }
        // Behind the beginning that is there: a large frame is gathered in one place.
        var unread: [UInt8] = []
        swap(&unread, &self.connections[slot]!.unread)
        let room = min(max(self.bytesWanted(slot) - kept, 4096), 256 << 10)
        unread.append(contentsOf: repeatElement(0, count: room))
        let count = unread.withUnsafeMutableBytes { self.take(slot, into: UnsafeMutableRawBufferPointer(rebasing: $0[kept...])) }
        guard self.connections[slot] != nil else { return false }
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
        if case .webSocket(let talk) = self.connections[slot]!.stage { talk.reader.bytesWanted } else { 0 }
    }

    /// Reads what has arrived; nil when there is nothing, or the connection has ended with this.
    private mutating func take(_ slot: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        if let tls = self.connections[slot]!.tls {
            switch tls.read(into: buffer) {
            case .bytes(let count): return self.heard(slot, count)
            case .wantRead: return nil
            case .wantWrite:
                self.loop.setInterest(self.connections[slot]!.token, read: true, write: true)
                return nil
            case .closed, .failed: self.drop(slot)
            }
            return nil
        }
        switch Socket(descriptor: self.table.hot[slot].descriptor).read(into: buffer) {
        case .moved(let count): return self.heard(slot, count)
        case .wouldBlock: return nil
        case .ended, .failed:
            self.drop(slot)
            return nil
        }
    }

    private mutating func heard(_ slot: Int, _ count: Int) -> Int {
        self.counters.bytesIn &+= UInt64(count)
        return count
    }

    /// Uses what was read as far as it goes; what is left is kept for the next time.
    private mutating func consume(_ slot: Int, _ buffer: UnsafeMutableRawBufferPointer) {
        self.consume(slot, buffer, from: self.connections[slot]!.token)
    }

    private mutating func consume(_ slot: Int, _ buffer: UnsafeMutableRawBufferPointer, from token: SocketToken) {
        var offset = 0
        while offset < buffer.count, self.isCurrent(token), !self.connections[slot]!.isReadingPaused {
            guard case .none = self.connections[slot]!.ending else { return }
            let before = offset
            switch self.connections[slot]!.stage {
            case .http(let exchange): self.readRequests(slot, exchange, buffer, &offset)
            case .webSocket(let talk):
                self.readFrames(slot, talk, buffer, &offset)
                // Whole frames count as being heard, not bytes: else one that drips would keep its buffers for ever.
                if offset > before, self.isCurrent(token) { self.table.hot[slot].heardAt = self.tickNumber }
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
        self.table.hot[slot].heardAt = self.tickNumber
        self.updateInterest(slot)
        let token = self.connections[slot]!.token
        if !self.connections[slot]!.unread.isEmpty {
            var unread: [UInt8] = []
            swap(&unread, &self.connections[slot]!.unread)
            unread.withUnsafeMutableBytes { self.consume(slot, $0, from: token) }
        }
        if self.isCurrent(token), self.connections[slot]!.tls != nil { self.readAgain.append(token) }
    }

    func updateInterest(_ slot: Int) {
        let connection = self.connections[slot]!
        self.loop.setInterest(connection.token, read: !connection.isReadingPaused, write: !connection.backlog.isEmpty)
    }

    // MARK: Going

    /// The connection is gone, or shall be at once.
    mutating func drop(_ slot: Int) {
        guard let connection = self.connections[slot] else { return }
        if case .webSocket(let talk) = connection.stage { self.end(talk, slot) }
        connection.tls?.close()
        self.forget(slot)
        self.loop.close(connection.token)
    }

    private mutating func forget(_ slot: Int) {
        guard let connection = self.connections[slot] else { return }
        self.users.leave(self.table.hot[slot].user)
        self.table.close(slot)
        self.connections[slot] = nil
        if connection.site == .clients, !connection.isListener { self.shared.connectionCount.subtract(1, ordering: .relaxed) }
    }

    /// What is unsent leaves; then the connection ends.
    mutating func finish(_ slot: Int, _ ending: Connection.Ending) {
        guard self.connections[slot] != nil else { return }
        self.connections[slot]!.ending = ending
        self.connections[slot]!.unread = []
        self.connections[slot]!.isReadingPaused = false
        self.updateInterest(slot)
        self.setDeadline(slot, after: Self.closePatience)
        self.goOnEnding(slot)
    }

    mutating func goOnEnding(_ slot: Int) {
        guard let connection = self.connections[slot], connection.backlog.isEmpty, self.table.hot[slot].frameCount == 0 else { return }
        switch connection.ending {
        case .none, .lingering: return
        case .closeWhenSent: self.drop(slot)
        case .lingerWhenSent:
            self.connections[slot]!.ending = .lingering
            connection.tls?.close()
            Socket(descriptor: self.table.hot[slot].descriptor).shutdownWriting()
        }
    }

    // MARK: Moving

    /// Gives a connection that has just become a WebSocket to the loop on which its conversation lives.
    ///
    /// - Parameter response: to the upgrade, still unsent: it leaves there, together with the session's first frames.
    mutating func move(_ slot: Int, to loop: Int, _ talk: WebSocketTalk, response: SharedFrame, unread: [UInt8]) {
        guard let connection = self.connections[slot], let session = talk.session else { return }
        let handover = Handover(
            socket: Socket(descriptor: self.table.hot[slot].descriptor), peer: connection.peer, tls: connection.tls, session: session,
            dialect: talk.dialect, takesCompression: talk.takesCompression, isCompressed: talk.isCompressed, expiresAt: talk.expiresAt, response: response, unread: unread)
        self.table.close(slot)
        self.connections[slot] = nil
        let shared = self.shared
        self.loop.detach(connection.token) { socket in
            if !shared.mailboxes[loop].post(.adopt(handover)) {
                socket.close()
                shared.connectionCount.subtract(1, ordering: .relaxed)
            }
        }
    }

    mutating func adopt(_ handover: Handover) {
        do throws(SocketError) {
            let token = try self.loop.register(handover.socket.descriptor)
            let talk = self.talk(
                handover.session, dialect: handover.dialect, takesCompression: handover.takesCompression, isCompressed: handover.isCompressed)
            talk.expiresAt = handover.expiresAt
            self.place(
                Connection(token: token, peer: handover.peer, site: .clients, tls: handover.tls, stage: .webSocket(talk)),
                descriptor: handover.socket.descriptor)
            self.connections[Int(token.slot)]!.unread = handover.unread
            self.send(Int(token.slot), handover.response)
            self.begin(talk, Int(token.slot))
            if self.isCurrent(token), self.connections[Int(token.slot)]!.tls != nil { self.readAgain.append(token) }
        } catch {
            self.shared.logger.warning("connection not taken over", ["reason": .text(error.description)])
            handover.socket.close()
            self.shared.connectionCount.subtract(1, ordering: .relaxed)
        }
    }
}

extension Connection {
    var isListener: Bool {
        if case .listening = self.stage { true } else { false }
    }
}
