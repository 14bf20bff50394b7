import ChatCore
import ChatModel
import Configuration
import EventLoop
import HTTPWire
import TLS

/// Reads from connections, and passes the input to the part that understands it.
extension LoopState {
    mutating func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.beginTurn()
        guard let connection = self.pool[token] else { return }
        switch connection.phase {
        case .listening(let listener):
            self.pool.accept(from: listener, connection.listenerRole)
        case .handshake:
            if self.pool.performHandshake(connection) { self.read(connection) }
        case .http, .webSocket:
            if writable {
                self.pool.drainBacklog(connection)
                // The client may have been waiting for this output, and may be read again.
                self.handleConnectionEvents()
            }
            guard connection.isConnected else { return }
            if connection.isReadingPaused {
                self.pool.updateInterest(connection)
            } else if readable || connection.tls != nil {
                // OpenSSL may have needed to write before it could read.
                self.read(connection)
            }
        }
    }

    /// Reads the connections that had more input than the previous turn should read.
    mutating func rereadConnections() {
        guard !self.pool.rereadQueue.isEmpty else { return }
        var connections: [Connection] = []
        swap(&connections, &self.pool.rereadQueue)
        for connection in connections { self.read(connection) }
    }

    private mutating func read(_ connection: Connection) {
        guard connection.isConnected else { return }
        switch connection.closeState {
        case .open, .lingerWhenSent: break
        case .closeWhenSent: return  // The peer may be gone, but frames are still unsent.
        case .lingering: return self.pool.discardInput(connection, into: self.readBuffer)
        }
        defer { self.countUnfinishedInput(connection) }
        // OpenSSL buffers input that the kernel no longer reports as readable. Therefore the loop
        // reads until OpenSSL has none, within a limit.
        let isTLS = connection.tls != nil
        for _ in 0..<(isTLS ? 64 : 1) {
            guard connection.isConnected, !connection.isReadingPaused else { return }
            if !self.readOnce(connection) { return }
        }
        if isTLS { self.pool.rereadQueue.append(connection) }
    }

    /// - Returns: whether there may be more input.
    private mutating func readOnce(_ connection: Connection) -> Bool {
        let unreadCount = connection.unread.count
        if unreadCount == 0 {
            guard let count = self.pool.receive(connection, into: self.readBuffer) else {
                return false
            }
            self.consume(
                connection, UnsafeMutableRawBufferPointer(rebasing: self.readBuffer[..<count]))
            return true
        }
        // Appends to the partial frame, so that a large frame is gathered in one place.
        var unread: [UInt8] = []
        swap(&unread, &connection.unread)
        let wanted = connection.webSocket?.reader.neededByteCount ?? 0
        let space = min(max(wanted - unreadCount, 4096), 256 << 10)
        unread.append(contentsOf: repeatElement(0, count: space))
        let count = unread.withUnsafeMutableBytes {
            self.pool.receive(
                connection, into: UnsafeMutableRawBufferPointer(rebasing: $0[unreadCount...]))
        }
        guard connection.isConnected else { return false }
        unread.removeLast(space - (count ?? 0))
        if let count, count > 0, unread.count >= wanted {
            unread.withUnsafeMutableBytes { self.consume(connection, $0) }
        } else {
            connection.unread = unread
        }
        return count != nil
    }

    /// Consumes the input that was buffered while the connection was not read.
    mutating func readUnread(_ connection: Connection) {
        // Messages of POSTs are older than those of the WebSocket that took over from them.
        if let webSocket = connection.webSocket, webSocket.content == .packets {
            self.readPostedMessages(connection, webSocket)
        }
        guard connection.isConnected, !connection.isReadingPaused else { return }
        if !connection.unread.isEmpty {
            var unread: [UInt8] = []
            swap(&unread, &connection.unread)
            unread.withUnsafeMutableBytes { self.consume(connection, $0) }
            self.countUnfinishedInput(connection)
        }
        if connection.isConnected, connection.tls != nil {
            self.pool.rereadQueue.append(connection)
        }
    }

    /// Consumes complete requests and frames, and stores the rest.
    private mutating func consume(_ connection: Connection, _ buffer: UnsafeMutableRawBufferPointer)
    {
        var offset = 0
        while offset < buffer.count, connection.isConnected, !connection.isReadingPaused {
            guard connection.closeState == .open else { return }
            let before = offset
            switch connection.phase {
            case .http(let exchange):
                if let action = self.http.read(connection, exchange, buffer, &offset) {
                    self.perform(action, connection, exchange, buffer, &offset)
                }
            case .webSocket(let webSocket):
                self.readFrames(connection, webSocket, buffer, &offset)
                // Only whole frames count as activity. Otherwise a client that sends single bytes
                // would keep its buffers for ever.
                if offset > before, connection.isConnected { self.pool.recordActivity(connection) }
            case .handshake, .listening: return
            }
            if offset == before { break }
        }
        guard offset < buffer.count, connection.isConnected else { return }
        connection.unread = Array(UnsafeRawBufferPointer(rebasing: buffer[offset...]))
    }

    // MARK: WebSockets

    private mutating func readFrames(
        _ connection: Connection, _ webSocket: WebSocketState,
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) {
        let frameBytes = self.context.live.limits.frameBytes
        let limits = WebSocketLimits(frameBytes: frameBytes, messageBytes: frameBytes)
        do throws(WebSocketError) {
            while connection.isConnected, !connection.isReadingPaused,
                connection.closeState == .open
            {
                guard
                    let input = try webSocket.reader.next(
                        in: buffer, from: &offset, limits: limits, inflater: self.inflater,
                        awaitsClose: webSocket.hasSentClose)
                else { return }
                switch input {
                case .message(let kind, let range):
                    self.receivedMessage(
                        connection, webSocket, kind, UnsafeRawBufferPointer(rebasing: buffer[range])
                    )
                case .fragment:
                    guard self.bridge.admitControlFrame(connection, webSocket) else { return }
                case .assembledMessage(let kind, let bytes):
                    bytes.withUnsafeBytes { self.receivedMessage(connection, webSocket, kind, $0) }
                case .inflatedMessage(let kind):
                    self.receivedMessage(connection, webSocket, kind, self.inflater.output)
                case .ping(let range):
                    guard self.bridge.admitControlFrame(connection, webSocket) else { return }
                    if !webSocket.hasSentClose {
                        self.pool.sendFrame(
                            connection, .pong, UnsafeRawBufferPointer(rebasing: buffer[range]))
                    }
                case .pong(let range):
                    let answersPing =
                        range.isEmpty
                        ? webSocket.pongReceived(at: self.context.now.monotonic)
                        : self.bridge.acknowledgeInbox(
                            connection, webSocket, UnsafeRawBufferPointer(rebasing: buffer[range]))
                    guard answersPing || self.bridge.admitControlFrame(connection, webSocket)
                    else { return }
                case .close(let code, _):
                    return self.pool.closeReceived(connection, webSocket, code)
                }
            }
        } catch {
            self.pool.failWebSocket(connection, webSocket, error)
        }
    }

    private mutating func receivedMessage(
        _ connection: Connection, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        connection.unfinishedInput?.messageDeadline = 0
        guard !webSocket.hasSentClose else { return }
        if webSocket.content != .frames {
            return self.receivedPacket(connection, webSocket, kind, bytes)
        }
        self.bridge.receivedMessage(connection, webSocket, kind, bytes)
    }
}
