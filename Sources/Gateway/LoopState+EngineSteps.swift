import Bytes
import ChatCore
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// What Engine.IO sessions decide, and what passes through them.
extension LoopState {
    /// Has a session do something, and does what it wants done.
    mutating func updateEngine(
        _ session: SocketToken, _ body: (inout EngineSession, inout EngineSteps) -> Void
    ) {
        guard self.isCurrent(session),
            case .webSocket(let talk) = self.connections[Int(session.slot)]!.phase,
            let engine = talk.engine
        else {
            return
        }
        var steps = EngineSteps()
        body(&engine.session, &steps)
        self.runEngineSteps(steps, of: session)
    }

    /// The same with bytes in which the session finds messages.
    mutating func updateEngine(
        _ session: SocketToken, _ bytes: [UInt8],
        _ body: (inout EngineSession, RawSpan, inout EngineSteps) -> Void
    ) {
        guard self.isCurrent(session),
            case .webSocket(let talk) = self.connections[Int(session.slot)]!.phase,
            let engine = talk.engine
        else {
            return
        }
        var steps = EngineSteps()
        body(&engine.session, bytes.span.bytes, &steps)
        bytes.withUnsafeBytes { self.runEngineSteps(steps, of: session, $0) }
    }

    /// - Parameter bytes: where messages lie.
    mutating func runEngineSteps(
        _ steps: EngineSteps, of session: SocketToken,
        _ bytes: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        for step in steps.list {
            switch step {
            case .answer(let request, let answer):
                self.answer(request, answer, steps, of: session)
            case .send(_, let socket) where socket.isForwarded:
                self.acceptRemoteProbe(socket, of: session)
            case .closeSocket(let socket, let code, let reason) where socket.isForwarded:
                self.replyProbeClosed(socket, code: code, reason, of: session)
            case .send(let packet, let socket):
                guard let slot = self.slot(of: socket, session) else { continue }
                packet.withBytes { self.sendFrame(slot, .text, $0) }
            case .closeSocket(let socket, let code, let reason):
                guard let slot = self.slot(of: socket, session),
                    case .webSocket(let talk) = self.connections[slot]!.phase
                else { continue }
                self.closeWebSocket(slot, talk, WebSocketCloseCode(rawValue: code), reason)
            case .message(let place):
                self.receivePostedMessage(session, UnsafeRawBufferPointer(rebasing: bytes[place]))
            case .binary:
                guard self.isCurrent(session),
                    case .webSocket(let talk) = self.connections[Int(session.slot)]!.phase
                else { continue }
                talk.session?.receivedBinary(into: &self.steps)
                self.runSteps(Int(session.slot), talk)
            case .upgraded(let socket):
                self.takeOver(SocketToken(socket), for: session)
            case .closed(let why):
                self.engineSessionClosed(session, why)
            }
        }
        guard self.isCurrent(session) else { return }
        self.clearUnpolledIfEmpty(Int(session.slot))
        self.scheduleTimer(Int(session.slot))
    }

    /// Once a poll has taken the last that waited, it has been delivered, and more may come.
    mutating func clearUnpolledIfEmpty(_ slot: Int) {
        guard self.table.hot[slot].flags.contains(.hasUnpolledPackets),
            case .webSocket(let talk) = self.connections[slot]!.phase,
            let engine = talk.engine, engine.session.waitingPackets == 0, !engine.isAttachingSocket
        else { return }
        self.table.hot[slot].flags.remove(.hasUnpolledPackets)
        guard !talk.hasSentClose, self.connections[slot]!.backlog.isEmpty else { return }
        for membership in talk.subscriptions { self.queueReportIfDue(membership.feed) }
        self.resumeCatchUp(slot, talk)
    }

    /// Where the session's WebSocket is: with the session, or still by itself.
    private func slot(of socket: EngineSocketID, _ session: SocketToken) -> Int? {
        let token: SocketToken
        if self.isCurrent(session),
            case .webSocket(let talk) = self.connections[Int(session.slot)]!.phase,
            talk.engine?.socket == socket
        {
            token = session
        } else {
            token = SocketToken(socket)
        }
        return self.isCurrent(token) ? Int(token.slot) : nil
    }

    mutating func answer(
        _ request: EngineRequestID, _ answer: EngineAnswer, _ steps: EngineSteps,
        of session: SocketToken
    ) {
        if request.isForwarded {
            return self.answerRemoteRequest(request, answer, steps, of: session)
        }
        let token = SocketToken(request)
        guard self.isCurrent(token),
            case .http(let exchange) = self.connections[Int(token.slot)]!.phase,
            let engine = exchange.engineRequest
        else {
            return
        }
        switch answer {
        case .payload(let place):
            self.respondPending(
                request, engine,
                HTTPResponse(
                    contentType: "text/plain; charset=UTF-8", body: Array(steps.text.bytes[place])))
        case .accepted:
            self.respondPending(
                request, engine, HTTPResponse(contentType: "text/html", body: Array("ok".utf8)))
        case .refused(let refusal):
            self.refusePending(request, engine, refusal)
        }
        // There is room for more.
        guard case .payload = answer, self.isCurrent(session),
            !self.connections[Int(session.slot)]!.backlog.isEmpty
        else { return }
        self.drainBacklog(Int(session.slot))
    }

    mutating func refusePending(
        _ request: EngineRequestID, _ engine: PendingEngineRequest, _ refusal: EngineRefusal
    ) {
        var body = ByteBuffer()
        body.append(engineRefusal: refusal)
        self.respondPending(
            request, engine, HTTPResponse(HTTPStatus(rawValue: refusal.status), body: body.bytes))
    }

    /// The connection that made the request gets its answer, and may make the next one.
    mutating func respondPending(
        _ request: EngineRequestID, _ engine: PendingEngineRequest, _ response: HTTPResponse
    ) {
        let token = SocketToken(request)
        guard self.isCurrent(token),
            case .http(let exchange) = self.connections[Int(token.slot)]!.phase
        else { return }
        let slot = Int(token.slot)
        // Behind a body that is not read nothing can be told apart from it. The drain may have begun while it waited.
        if self.isDraining || exchange.incompleteRequest != nil {
            engine.responseContext.keepsAlive = false
        }
        exchange.engineRequest = nil
        exchange.incompleteRequest = nil
        var response = response
        response.fields += engine.fields
        self.respond(slot, response, engine.responseContext)
        if self.isCurrent(token), self.connections[slot]!.closeState == .open,
            !self.connections[slot]!.unread.isEmpty
        {
            self.pauseReading(slot)
            self.resumeReading(slot)
        }
    }

    // MARK: What the client says

    /// A POST has brought this.
    private mutating func receivePostedMessage(
        _ session: SocketToken, _ data: UnsafeRawBufferPointer
    ) {
        guard self.isCurrent(session),
            case .webSocket(let talk) = self.connections[Int(session.slot)]!.phase,
            let engine = talk.engine
        else {
            return
        }
        if self.connections[Int(session.slot)]!.isReadingPaused || !engine.unreadPosts.isEmpty {
            engine.appendUnread(data)
        } else {
            self.receivedMessage(Int(session.slot), talk, .text, data)
        }
    }

    /// Reading goes on.
    mutating func readPostedMessages(_ slot: Int, _ talk: WebSocketState, _ engine: EngineState) {
        let token = self.connections[slot]!.token
        let unread = engine.drainUnread()
        for place in unread.indices {
            guard self.isCurrent(token), !talk.hasSentClose else { return }
            guard !self.connections[slot]!.isReadingPaused else {
                return engine.prependUnread(unread[place...])
            }
            unread[place].withUnsafeBytes { self.receivedMessage(slot, talk, .text, $0) }
        }
    }

    /// A message of a WebSocket that carries a session, or is to take over one.
    mutating func receivedPacket(
        _ slot: Int, _ talk: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        if let probe = talk.remoteProbe {
            return self.receivedProbePacket(slot, talk, probe, kind, bytes)
        }
        let token = self.connections[slot]!.token
        let now = self.now.monotonic
        if let session = talk.probedSession {
            let copy = Array(bytes)
            self.updateEngine(session, copy) {
                if kind == .text {
                    $0.received($1, on: EngineSocketID(token), at: now, into: &$2)
                } else {
                    $0.receivedBinary(on: EngineSocketID(token), into: &$2)
                }
            }
            return
        }
        guard let engine = talk.engine, let socket = engine.socket else { return }
        if kind == .binary { return self.receivedMessage(slot, talk, .binary, bytes) }
        // Nearly all are messages, and the session has nothing to do with those.
        if bytes.first == EnginePacketKind.message.typeByte {
            return self.receivedMessage(
                slot, talk, .text, UnsafeRawBufferPointer(rebasing: bytes.dropFirst()))
        }
        let copy = Array(bytes)
        self.updateEngine(token, copy) { $0.received($1, on: socket, at: now, into: &$2) }
    }

    // MARK: What the client is sent

    /// So much waits for a poll; what is beyond is the connection's backlog, as with a socket that takes no more.
    private static let pollableBytes = 256 << 10

    /// Puts frames where the next poll finds them.
    ///
    /// - Parameter bytes: WebSocket frames of the server's, as they would be written to a socket.
    /// - Returns: how many of the bytes were taken.
    mutating func writePackets(_ bytes: UnsafeRawBufferPointer, to slot: Int) -> Int {
        guard case .webSocket(let talk) = self.connections[slot]!.phase, let engine = talk.engine,
            !engine.isAttachingSocket
        else { return 0 }
        let token = self.connections[slot]!.token
        var steps = EngineSteps()
        var offset = 0
        while let frame = WrittenFrame(bytes, at: offset) {
            // What belongs to a packet that waits goes with it.
            let isOffset = frame.isOffset(in: bytes)
            guard
                isOffset || engine.session.waitingPackets == 0
                    || engine.session.waitingBytes < Self.pollableBytes
            else { break }
            offset = frame.end
            guard frame.opcode == .text else {
                if frame.opcode == .close {
                    let (code, reason) = frame.closeStatus(in: bytes)
                    engine.session.close(
                        code: code, reason: reason, at: self.now.monotonic, into: &steps)
                }
                continue
            }
            let packet = SharedFrame(Array(bytes[frame.payload]))
            if isOffset {
                engine.session.send(companion: packet, into: &steps)
            } else {
                engine.session.send(packet, into: &steps)
            }
        }
        if !steps.list.isEmpty { self.engineSteps.append((token, steps)) }
        self.pollableSessions.append(token)
        if engine.session.waitingPackets > 0 {
            self.table.hot[slot].flags.insert(.hasUnpolledPackets)
        }
        return offset
    }

    /// Whether the next of what waits behind the outbox belongs to the last packet in it.
    func hasCompanionNext(_ slot: Int) -> Bool {
        guard self.table.hot[slot].flags.contains(.isPolling),
            let (frame, offset) = self.connections[slot]?.backlog.first
        else {
            return false
        }
        return frame.withBytes { WrittenFrame($0, at: offset)?.isOffset(in: $0) ?? false }
    }

    /// At the end of a turn's writes: what was put there leaves, if a poll waits.
    mutating func answerPolls() {
        guard !self.pollableSessions.isEmpty || !self.engineSteps.isEmpty else { return }
        let (tokens, steps) = (self.pollableSessions, self.engineSteps)
        self.pollableSessions.removeAll(keepingCapacity: true)
        self.engineSteps.removeAll(keepingCapacity: true)
        for (token, steps) in steps { self.runEngineSteps(steps, of: token) }
        for token in tokens { self.updateEngine(token) { $0.flush(into: &$1) } }
    }

    /// What waits behind the outbox, as packets.
    func backlogPackets(_ slot: Int) -> [String] {
        var bytes = ByteBuffer()
        self.connections[slot]!.backlog.gather(upTo: .max, into: &bytes)
        return bytes.bytes.withUnsafeBytes { bytes in
            var packets: [String] = []
            var offset = 0
            while let frame = WrittenFrame(bytes, at: offset) {
                offset = frame.end
                if frame.opcode == .text {
                    packets.append(String(decoding: bytes[frame.payload], as: UTF8.self))
                }
            }
            return packets
        }
    }

    // MARK: Ends

    /// The session is over: one that polls has nothing more.
    private mutating func engineSessionClosed(_ session: SocketToken, _ why: EngineClosure) {
        guard self.isCurrent(session),
            case .webSocket(let talk) = self.connections[Int(session.slot)]!.phase,
            let engine = talk.engine
        else {
            return
        }
        let slot = Int(session.slot)
        self.engineSessions[engine.session.id] = nil
        guard self.table.hot[slot].flags.contains(.isPolling) else { return }
        if !talk.hasSentClose {
            self.closeSent(slot, talk, WebSocketCloseCode(rawValue: why.webSocketCode))
        }
        self.drop(slot)
    }

    /// A connection that was a session's, or was to be one's, is gone.
    mutating func engineConnectionDropped(_ token: SocketToken, _ talk: WebSocketState) {
        if let probe = talk.remoteProbe {
            self.cancelForwardedRequests(of: token)
            self.remoteProbeDropped(probe)
        }
        if let session = talk.probedSession {
            self.updateEngine(session) { $0.socketClosed(EngineSocketID(token), into: &$1) }
        }
        guard let engine = talk.engine else { return }
        self.engineSessions[engine.session.id] = nil
        // Whoever waits for it is told.
        var steps = EngineSteps()
        engine.session.close(
            code: 1001, reason: "the connection has ended", at: self.now.monotonic, into: &steps)
        for step in steps.list {
            guard case .answer(let request, let answer) = step else { continue }
            if let carried = engine.remoteRequests[request.rawValue] {
                let text = ForwardedMessage.encodeReply(request.rawValue, answer, steps)
                engine.remoteRequests[request.rawValue]!.answer = text
                self.relay?.send(
                    RemoteLoopMessage(to: carried.loop, text), to: carried.node, from: self.chat.id)
            } else {
                self.answer(request, answer, steps, of: token)
            }
        }
        self.retainReplies(of: engine)
    }
}
