import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Configuration
import DialectKit
import EventLoop
import HTTPWire
import Identity
import JSON
import Telemetry

/// Reads frames of WebSockets and executes the steps of their sessions.
extension LoopState {
    func makeWebSocketState(
        _ session: (any DialectSession)?, dialect: Int, acceptsCompression takesCompression: Bool,
        isCompressed: Bool
    ) -> WebSocketState {
        WebSocketState(
            reader: WebSocketReader(role: .server, acceptsCompression: takesCompression),
            session: session, dialect: dialect,
            isCompressed: isCompressed,
            rateLimiter: TokenBucket(limits: self.live.limits, at: self.now.monotonic))
    }

    /// Begins a WebSocket's session.
    mutating func beginSession(_ webSocket: WebSocketState, _ connection: Connection) {
        self.counters.connections[webSocket.dialect + 1] += 1
        webSocket.openedAt = self.now.monotonic
        // Engine.IO has its own pings.
        webSocket.pingAt = webSocket.engine == nil ? self.now.after(self.live.limits.ping) : 0
        // The connection came from another loop after this loop's drain had set the deadlines.
        if self.isDraining { webSocket.drainAt = self.now.monotonic + 1 }
        connection.deadline = 0
        self.table.hot[connection.slot].lastReceivedTick = self.tickNumber
        self.scheduleTimer(connection)
        if let session = webSocket.session, let principal = session.principal {
            self.table.hot[connection.slot].user = self.users.addConnection(
                principal.person.id, of: session.tenant)
        }
        self.logOpened(connection, webSocket)
        webSocket.session?.opened(into: &self.steps)
        self.runSteps(connection, webSocket)
    }

    mutating func readFrames(
        _ connection: Connection, _ webSocket: WebSocketState,
        _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) {
        let limits = WebSocketLimits(
            frameBytes: self.live.limits.frameBytes, messageBytes: self.live.limits.frameBytes)
        do throws(WebSocketError) {
            while connection.isConnected, !connection.isReadingPaused,
                connection.closeState == .open
            {
                guard
                    let input = try webSocket.reader.next(
                        in: buffer, from: &offset, limits: limits, inflater: self.inflater)
                else { return }
                switch input {
                case .message(let kind, let range):
                    self.dispatchMessage(
                        connection, webSocket, kind, UnsafeRawBufferPointer(rebasing: buffer[range])
                    )
                case .assembledMessage(let kind, let bytes):
                    bytes.withUnsafeBytes { self.dispatchMessage(connection, webSocket, kind, $0) }
                case .inflatedMessage(let kind):
                    self.dispatchMessage(connection, webSocket, kind, self.inflater.output)
                case .ping(let range):
                    if !webSocket.hasSentClose {
                        self.sendFrame(
                            connection, .pong, UnsafeRawBufferPointer(rebasing: buffer[range]))
                    }
                case .pong(let range):
                    self.acknowledgeInbox(
                        connection, webSocket, UnsafeRawBufferPointer(rebasing: buffer[range]))
                case .close(let code, _):
                    self.closeReceived(connection, webSocket, code)
                    return
                }
            }
        } catch {
            self.failWebSocket(connection, webSocket, error)
        }
    }

    private mutating func dispatchMessage(
        _ connection: Connection, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        guard !webSocket.hasSentClose else { return }
        if webSocket.engine != nil || webSocket.isProbe {
            return self.receivedPacket(connection, webSocket, kind, bytes)
        }
        self.receivedMessage(connection, webSocket, kind, bytes)
    }

    /// Handles a message for the dialect.
    mutating func receivedMessage(
        _ connection: Connection, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        guard !webSocket.hasSentClose else { return }
        self.counters.messagesIn[webSocket.dialect + 1] &+= 1
        guard webSocket.dialect >= 0 else {
            self.echo(connection, webSocket, kind, bytes)
            return
        }
        if let feed = webSocket.subscriptions.first?.feed { self.chat.prefetchFeed(feed) }
        self.steps.retryAfter = webSocket.rateLimiter.consume(
            limits: self.live.limits, at: self.now.monotonic)
        if self.steps.retryAfter != nil { self.counters.rateLimited &+= 1 }
        self.steps.receivedAt = self.receivedAt(webSocket)
        if kind == .binary {
            webSocket.session?.receivedBinary(into: &self.steps)
        } else {
            // The session parses a message that is too long anyway, because its error names the
            // frame's id. That costs no more than receiving it did.
            if bytes.count > self.live.limits.messageBytes {
                self.steps.exceededByteLimit = self.live.limits.messageBytes
            }
            webSocket.session?.received(
                bytes.bytes, reading: &self.document, at: self.now.wall, into: &self.steps)
        }
        self.runSteps(connection, webSocket)
        self.steps.receivedAt = 0
    }

    /// The client requested the echo, so it does not count against the limit for slow readers.
    /// Reading is paused until the echo has been sent.
    private mutating func echo(
        _ connection: Connection, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        self.frameBuffer.removeAll()
        self.appendFrame(kind == .text ? .text : .binary, bytes, compress: webSocket.isCompressed)
        self.sendPaced(connection, SharedFrame(self.frameBuffer.bytes))
        guard connection.isConnected, !connection.backlog.isEmpty else { return }
        self.pauseReading(connection)
    }

    // MARK: Steps

    /// Executes a session's steps, in order.
    ///
    /// - Parameter isPaced: whether the client requested the replies, which may be large.
    mutating func runSteps(
        _ connection: Connection, _ webSocket: WebSocketState, isPaced: Bool = false
    ) {
        // By index, because a step may append further steps.
        var index = 0
        while index < self.steps.list.count {
            let step = self.steps.consumeStep(index)
            index += 1
            guard connection.isConnected, !webSocket.hasSentClose else { continue }
            switch consume step {
            case .reply(let range):
                self.reply(connection, webSocket, range, isPaced: isPaced)
            case .enter(let key, let joinRequest, let start, let tag):
                self.join(connection, webSocket, key, joinRequest, from: start, tag)
            case .unsubscribe(let key):
                self.unsubscribe(key, connection, webSocket)
            case .fetch(let request, let tag):
                self.fetch(connection, webSocket, request, tag)
            case .submit(let command, let key, let tag):
                self.submitCommand(connection, webSocket, command, in: key, tag)
            case .readPage(let key, let range, let limit, let tag):
                self.readPage(connection, webSocket, key, range, limit, tag)
            case .authenticate(let token):
                self.authenticate(connection, webSocket, token)
            case .broadcast(let message):
                self.broadcastToNodes(message, of: webSocket.dialect)
            case .close(let code, let reason):
                self.closeWebSocket(
                    connection, webSocket, WebSocketCloseCode(rawValue: code), reason.description)
            }
        }
        self.steps.removeAll()
        self.sessionChanged(connection, webSocket)
    }

    /// Updates the loop's state of a session after its steps.
    private mutating func sessionChanged(_ connection: Connection, _ webSocket: WebSocketState) {
        guard connection.isConnected, !webSocket.hasSentClose else { return }
        if let tracksDeliveries = webSocket.session?.tracksDeliveries,
            tracksDeliveries != webSocket.tracksDeliveries
        {
            self.regroupQueue.append(connection.token)
        }
        if self.table.hot[connection.slot].user == UserTable.noUser,
            let session = webSocket.session,
            let principal = session.principal
        {
            self.table.hot[connection.slot].user = self.users.addConnection(
                principal.person.id, of: session.tenant)
        }
        if webSocket.session?.wakeAt != nil { self.scheduleTimer(connection) }
    }

    private mutating func reply(
        _ connection: Connection, _ webSocket: WebSocketState, _ range: Range<Int>, isPaced: Bool
    ) {
        self.frameBuffer.removeAll()
        self.steps.text.bytes.withUnsafeBytes {
            self.appendFrame(
                .text, UnsafeRawBufferPointer(rebasing: $0[range]), compress: webSocket.isCompressed
            )
        }
        let frame = SharedFrame(self.frameBuffer.bytes)
        guard isPaced || range.count > Self.pacedReplyBytes else {
            return self.send(connection, frame)
        }
        self.sendPaced(connection, frame)
        guard !isPaced, connection.isConnected, !connection.backlog.isEmpty else {
            return
        }
        self.pauseReading(connection)
    }

    /// The client must have requested a reply of this size.
    private static let pacedReplyBytes = 64 << 10

    /// Appends a frame to `frameBuffer`.
    mutating func appendFrame(
        _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, compress: Bool
    ) {
        if compress, payload.count >= Deflater.minimumByteCount {
            let start = self.frameBuffer.reserveWebSocketHeader()
            if self.deflater.deflate(payload, into: &self.frameBuffer) {
                let range = self.frameBuffer.finishWebSocketFrame(
                    opcode, reservedAt: start, isCompressed: true)
                // A short header leaves a gap in front of it.
                self.frameBuffer.bytes.removeSubrange(start..<range.lowerBound)
                return
            }
            self.frameBuffer.truncate(to: start)
        }
        self.frameBuffer.append(webSocketFrame: opcode, payload: payload)
    }

    mutating func sendFrame(
        _ connection: Connection, _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer,
        compress: Bool = false
    ) {
        self.frameBuffer.removeAll()
        self.appendFrame(opcode, payload, compress: compress)
        self.send(connection, SharedFrame(self.frameBuffer.bytes))
    }

    private mutating func authenticate(
        _ connection: Connection, _ webSocket: WebSocketState, _ token: String
    ) {
        guard let session = webSocket.session else { return }
        do throws(TokenError) {
            let identity = try self.live.verifier.verify(token, at: self.now.wall)
            // A session without a user takes its identity from this token.
            guard
                session.principal.map({
                    UserID(of: identity) == $0.person.id && identity.tenant == session.tenant
                }) ?? true
            else {
                webSocket.session?.authenticated(
                    .failure(CredentialError("belongs to another user")), into: &self.steps)
                return
            }
            webSocket.expiresAt =
                identity.expiry.map {
                    self.now.monotonic + max(1, $0.milliseconds - self.now.wall.milliseconds)
                } ?? 0
            self.scheduleTimer(connection)
            webSocket.session?.authenticated(.success(identity), into: &self.steps)
        } catch {
            webSocket.session?.authenticated(
                .failure(CredentialError(error.description)), into: &self.steps)
        }
    }

    // MARK: Closing

    /// Begins the close handshake (RFC 6455 section 7.1.2). The peer has `closeTimeout` to answer.
    mutating func closeWebSocket(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode,
        _ reason: String
    ) {
        guard connection.isConnected, !webSocket.hasSentClose else { return }
        self.sendClose(connection, webSocket, code, reason)
        // Reading continues, because the answer is a frame.
        webSocket.blockingReplyCount = 0
        self.resumeReading(connection)
        if connection.isConnected { self.setDeadline(connection, after: Self.closeTimeout) }
    }

    private mutating func sendClose(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode,
        _ reason: String
    ) {
        self.frameBuffer.removeAll()
        self.frameBuffer.append(webSocketClose: code, reason: reason)
        self.send(connection, SharedFrame(self.frameBuffer.bytes))
        self.closeSent(connection, webSocket, code)
    }

    /// Records a close frame. Nothing is sent after it, and events are no longer delivered.
    mutating func closeSent(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode
    ) {
        webSocket.hasSentClose = true
        webSocket.closeCode = code.rawValue
        self.table.hot[connection.slot].flags.remove(.isOpen)
        self.unsubscribeAll(webSocket, connection)
        self.counters.closes[code.rawValue, default: 0] += 1
    }

    private mutating func closeReceived(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode?
    ) {
        if !webSocket.hasSentClose {
            self.frameBuffer.removeAll()
            self.frameBuffer.append(webSocketClose: code)
            self.send(connection, SharedFrame(self.frameBuffer.bytes))
            webSocket.hasSentClose = true
            // RFC 6455 section 7.1.5: 1005 if the close frame has no code.
            webSocket.closeCode = code?.rawValue ?? 1005
            self.table.hot[connection.slot].flags.remove(.isOpen)
            self.unsubscribeAll(webSocket, connection)
        }
        self.beginClose(connection, .closeWhenSent)
    }

    private mutating func failWebSocket(
        _ connection: Connection, _ webSocket: WebSocketState, _ error: WebSocketError
    ) {
        guard connection.isConnected else { return }
        if !webSocket.hasSentClose {
            let connection = connection
            self.shared.logger.debug(
                "protocol error",
                [
                    "connection": .text(self.name(of: connection)),
                    "address": .text(connection.address), "reason": .text(error.description),
                ])
            self.sendClose(connection, webSocket, error.closeCode, error.description)
        }
        self.beginClose(connection, .lingerWhenSent)
    }

    /// Ends the session of a connection that is closing, and unsubscribes it.
    mutating func endSession(_ webSocket: WebSocketState, _ connection: Connection) {
        guard !webSocket.isProbe else { return }
        self.inboxCursors[UInt32(connection.slot)] = nil
        self.unsubscribeAll(webSocket, connection)
        self.counters.connections[webSocket.dialect + 1] -= 1
        self.logClosed(connection, webSocket)
    }
}
