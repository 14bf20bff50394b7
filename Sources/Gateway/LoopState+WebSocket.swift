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
import Telemetry

/// Frames of a WebSocket, and what its session makes of them.
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

    /// The connection is a WebSocket from here on.
    mutating func beginSession(_ talk: WebSocketState, _ slot: Int) {
        self.counters.connections[talk.dialect + 1] += 1
        talk.openedAt = self.now.monotonic
        // Engine.IO has pings of its own.
        talk.pingAt = talk.engine == nil ? self.now.after(self.live.limits.ping) : 0
        // It came by another loop, after this one's clients had been told to go.
        if self.isDraining { talk.drainAt = self.now.monotonic + 1 }
        self.connections[slot]!.deadline = 0
        self.table.hot[slot].lastReceivedTick = self.tickNumber
        self.scheduleTimer(slot)
        if let session = talk.session, let actor = session.principal {
            self.table.hot[slot].user = self.users.addConnection(
                actor.person.id, of: session.tenant)
        }
        self.logOpened(slot, talk)
        talk.session?.opened(into: &self.steps)
        self.runSteps(slot, talk)
    }

    mutating func readFrames(
        _ slot: Int, _ talk: WebSocketState, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) {
        let token = self.connections[slot]!.token
        let limits = WebSocketLimits(
            frameBytes: self.live.limits.frameBytes, messageBytes: self.live.limits.frameBytes)
        do throws(WebSocketError) {
            while self.isCurrent(token), !self.connections[slot]!.isReadingPaused,
                self.connections[slot]!.closeState == .open
            {
                guard
                    let input = try talk.reader.next(
                        in: buffer, from: &offset, limits: limits, inflater: self.inflater)
                else { return }
                switch input {
                case .message(let kind, let place):
                    self.dispatchMessage(
                        slot, talk, kind, UnsafeRawBufferPointer(rebasing: buffer[place]))
                case .assembledMessage(let kind, let bytes):
                    bytes.withUnsafeBytes { self.dispatchMessage(slot, talk, kind, $0) }
                case .inflatedMessage(let kind):
                    self.dispatchMessage(slot, talk, kind, self.inflater.output)
                case .ping(let place):
                    if !talk.hasSentClose {
                        self.sendFrame(slot, .pong, UnsafeRawBufferPointer(rebasing: buffer[place]))
                    }
                case .pong(let place):
                    self.acknowledgeInbox(
                        slot, talk, UnsafeRawBufferPointer(rebasing: buffer[place]))
                case .close(let code, _):
                    self.closeReceived(slot, talk, code)
                    return
                }
            }
        } catch {
            self.failWebSocket(slot, talk, error)
        }
    }

    private mutating func dispatchMessage(
        _ slot: Int, _ talk: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        guard !talk.hasSentClose else { return }
        if talk.engine != nil || talk.isProbe {
            return self.receivedPacket(slot, talk, kind, bytes)
        }
        self.receivedMessage(slot, talk, kind, bytes)
    }

    /// A message for the dialect.
    mutating func receivedMessage(
        _ slot: Int, _ talk: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        guard !talk.hasSentClose else { return }
        self.counters.messagesIn[talk.dialect + 1] &+= 1
        guard talk.dialect >= 0 else {
            self.echo(slot, talk, kind, bytes)
            return
        }
        if let feed = talk.subscriptions.first?.feed { self.chat.prefetchFeed(feed) }
        self.steps.retryAfter = talk.rateLimiter.consume(
            limits: self.live.limits, at: self.now.monotonic)
        if self.steps.retryAfter != nil { self.counters.rateLimited &+= 1 }
        self.steps.receivedAt = self.receivedAt(talk)
        if kind == .binary {
            talk.session?.receivedBinary(into: &self.steps)
        } else {
            // Read all the same, which costs no more than to have received it: the answer names the frame's id.
            if bytes.count > self.live.limits.messageBytes {
                self.steps.exceededByteLimit = self.live.limits.messageBytes
            }
            talk.session?.received(
                bytes.bytes, reading: &self.document, at: self.now.wall, into: &self.steps)
        }
        self.runSteps(slot, talk)
        self.steps.receivedAt = 0
    }

    /// The client has asked for all of it, so it never counts as a slow reader's; but more is only read when it has left.
    private mutating func echo(
        _ slot: Int, _ talk: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        self.frameBuffer.removeAll()
        self.appendFrame(kind == .text ? .text : .binary, bytes, compress: talk.isCompressed)
        self.sendPaced(slot, SharedFrame(self.frameBuffer.bytes))
        guard let connection = self.connections[slot], !connection.backlog.isEmpty else { return }
        self.pauseReading(slot)
    }

    // MARK: Steps

    /// Does what a session has decided, in its order.
    ///
    /// - Parameter isPaced: the replies were asked for by the client and may be large.
    mutating func runSteps(_ slot: Int, _ talk: WebSocketState, isPaced: Bool = false) {
        // By number, because a step may make the session decide more.
        var place = 0
        while place < self.steps.list.count {
            let step = self.steps.consumeStep(place)
            place += 1
            guard self.isOccupied(slot), !talk.hasSentClose else { continue }
            switch consume step {
            case .reply(let range):
                self.reply(slot, talk, range, isPaced: isPaced)
            case .enter(let key, let entrance, let beginning, let tag):
                self.join(slot, talk, key, entrance, from: beginning, tag)
            case .unsubscribe(let key):
                self.leave(key, slot, talk)
            case .fetch(let request, let tag):
                self.fetch(slot, talk, request, tag)
            case .submit(let command, let key, let tag):
                self.submitCommand(slot, talk, command, in: key, tag)
            case .readPage(let key, let range, let limit, let tag):
                self.readPage(slot, talk, key, range, limit, tag)
            case .authenticate(let token):
                self.authenticate(slot, talk, token)
            case .broadcast(let word):
                self.broadcastToNodes(word, of: talk.dialect)
            case .close(let code, let reason):
                self.closeWebSocket(
                    slot, talk, WebSocketCloseCode(rawValue: code), reason.description)
            }
        }
        self.steps.removeAll()
        self.sessionChanged(slot, talk)
    }

    /// What a session has become by what it did.
    private mutating func sessionChanged(_ slot: Int, _ talk: WebSocketState) {
        guard self.isOccupied(slot), !talk.hasSentClose else { return }
        if let isPersonal = talk.session?.tracksDeliveries, isPersonal != talk.isPersonal {
            self.regroupQueue.append(self.connections[slot]!.token)
        }
        if self.table.hot[slot].user == UserTable.noUser, let session = talk.session,
            let actor = session.principal
        {
            self.table.hot[slot].user = self.users.addConnection(
                actor.person.id, of: session.tenant)
        }
        if talk.session?.wakeAt != nil { self.scheduleTimer(slot) }
    }

    private mutating func reply(
        _ slot: Int, _ talk: WebSocketState, _ range: Range<Int>, isPaced: Bool
    ) {
        self.frameBuffer.removeAll()
        self.steps.text.bytes.withUnsafeBytes {
            self.appendFrame(
                .text, UnsafeRawBufferPointer(rebasing: $0[range]), compress: talk.isCompressed)
        }
        let frame = SharedFrame(self.frameBuffer.bytes)
        guard isPaced || range.count > Self.pacedReplyBytes else { return self.send(slot, frame) }
        self.sendPaced(slot, frame)
        guard !isPaced, let connection = self.connections[slot], !connection.backlog.isEmpty else {
            return
        }
        self.pauseReading(slot)
    }

    /// Whoever gets so much at once has asked for it.
    private static let pacedReplyBytes = 64 << 10

    /// Writes one frame behind what is in `frameBuffer`.
    mutating func appendFrame(
        _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, compress: Bool
    ) {
        if compress, payload.count >= Deflater.minimumByteCount {
            let start = self.frameBuffer.reserveWebSocketHeader()
            if self.deflater.deflate(payload, into: &self.frameBuffer) {
                let place = self.frameBuffer.finishWebSocketFrame(
                    opcode, reservedAt: start, isCompressed: true)
                // A short header leaves room in front of it.
                self.frameBuffer.bytes.removeSubrange(start..<place.lowerBound)
                return
            }
            self.frameBuffer.truncate(to: start)
        }
        self.frameBuffer.append(webSocketFrame: opcode, payload: payload)
    }

    mutating func sendFrame(
        _ slot: Int, _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer,
        compress: Bool = false
    ) {
        self.frameBuffer.removeAll()
        self.appendFrame(opcode, payload, compress: compress)
        self.send(slot, SharedFrame(self.frameBuffer.bytes))
    }

    private mutating func authenticate(_ slot: Int, _ talk: WebSocketState, _ token: String) {
        guard let session = talk.session else { return }
        do throws(TokenError) {
            let identity = try self.live.verifier.verify(token, at: self.now.wall)
            // Who has not said who it is says it by this.
            guard
                session.principal.map({
                    UserID(of: identity) == $0.person.id && identity.tenant == session.tenant
                }) ?? true
            else {
                talk.session?.authenticated(
                    .failure(CredentialError("belongs to another user")), into: &self.steps)
                return
            }
            talk.expiresAt =
                identity.expiry.map {
                    self.now.monotonic + max(1, $0.milliseconds - self.now.wall.milliseconds)
                } ?? 0
            self.scheduleTimer(slot)
            talk.session?.authenticated(.success(identity), into: &self.steps)
        } catch {
            talk.session?.authenticated(
                .failure(CredentialError(error.description)), into: &self.steps)
        }
    }

    // MARK: Closing

    /// Begins the close handshake (RFC 6455 section 7.1.2); the peer has `closeSeconds` to answer.
    mutating func closeWebSocket(
        _ slot: Int, _ talk: WebSocketState, _ code: WebSocketCloseCode, _ reason: String
    ) {
        guard self.isOccupied(slot), !talk.hasSentClose else { return }
        self.sendClose(slot, talk, code, reason)
        // Reading goes on: the answer is a frame.
        talk.blockingReplyCount = 0
        self.resumeReading(slot)
        if self.isOccupied(slot) { self.setDeadline(slot, after: Self.closeTimeout) }
    }

    private mutating func sendClose(
        _ slot: Int, _ talk: WebSocketState, _ code: WebSocketCloseCode, _ reason: String
    ) {
        self.frameBuffer.removeAll()
        self.frameBuffer.append(webSocketClose: code, reason: reason)
        self.send(slot, SharedFrame(self.frameBuffer.bytes))
        self.closeSent(slot, talk, code)
    }

    /// The last frame is on its way: nothing follows it, and nothing is heard any more.
    mutating func closeSent(_ slot: Int, _ talk: WebSocketState, _ code: WebSocketCloseCode) {
        talk.hasSentClose = true
        talk.closeCode = code.rawValue
        self.table.hot[slot].flags.remove(.isOpen)
        self.leaveAll(talk, slot)
        self.counters.closes[code.rawValue, default: 0] += 1
    }

    private mutating func closeReceived(
        _ slot: Int, _ talk: WebSocketState, _ code: WebSocketCloseCode?
    ) {
        if !talk.hasSentClose {
            self.frameBuffer.removeAll()
            self.frameBuffer.append(webSocketClose: code)
            self.send(slot, SharedFrame(self.frameBuffer.bytes))
            talk.hasSentClose = true
            // 1005 says that there was none (RFC 6455 section 7.1.5).
            talk.closeCode = code?.rawValue ?? 1005
            self.table.hot[slot].flags.remove(.isOpen)
            self.leaveAll(talk, slot)
        }
        self.beginClose(slot, .closeWhenSent)
    }

    private mutating func failWebSocket(
        _ slot: Int, _ talk: WebSocketState, _ error: WebSocketError
    ) {
        guard self.isOccupied(slot) else { return }
        if !talk.hasSentClose {
            let connection = self.connections[slot]!
            self.shared.logger.debug(
                "protocol error",
                [
                    "connection": .text(self.name(of: connection)),
                    "address": .text(connection.address), "reason": .text(error.description),
                ])
            self.sendClose(slot, talk, error.closeCode, error.description)
        }
        self.beginClose(slot, .lingerWhenSent)
    }

    /// The connection is gone or going: the conversations it heard are left.
    mutating func endSession(_ talk: WebSocketState, _ slot: Int) {
        guard !talk.isProbe else { return }
        self.inboxCursors[UInt32(slot)] = nil
        self.leaveAll(talk, slot)
        self.counters.connections[talk.dialect + 1] -= 1
        self.logClosed(slot, talk)
    }
}
