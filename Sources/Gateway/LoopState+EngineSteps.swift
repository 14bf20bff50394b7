import Bytes
import ChatCore
import ChatEngine
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// Executes the steps of Engine.IO sessions, and passes their messages and packets.
extension LoopState {
    /// Updates a session and executes its steps.
    mutating func updateEngine(
        _ session: SocketToken, _ body: (inout EngineSession, inout EngineSteps) -> Void
    ) {
        guard self.isCurrent(session),
            case .webSocket(let webSocket) = self.connections[Int(session.slot)]!.phase,
            let engine = webSocket.engine
        else {
            return
        }
        var steps = EngineSteps()
        body(&engine.session, &steps)
        self.runEngineSteps(steps, of: session)
    }

    /// Updates a session with input that contains messages, and executes its steps.
    mutating func updateEngine(
        _ session: SocketToken, _ bytes: [UInt8],
        _ body: (inout EngineSession, RawSpan, inout EngineSteps) -> Void
    ) {
        guard self.isCurrent(session),
            case .webSocket(let webSocket) = self.connections[Int(session.slot)]!.phase,
            let engine = webSocket.engine
        else {
            return
        }
        var steps = EngineSteps()
        body(&engine.session, bytes.span.bytes, &steps)
        bytes.withUnsafeBytes { self.runEngineSteps(steps, of: session, $0) }
    }

    /// - Parameter bytes: the input that contains the messages.
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
                    case .webSocket(let webSocket) = self.connections[slot]!.phase
                else { continue }
                self.closeWebSocket(slot, webSocket, WebSocketCloseCode(rawValue: code), reason)
            case .message(let range):
                self.receivePostedMessage(session, UnsafeRawBufferPointer(rebasing: bytes[range]))
            case .binary:
                guard self.isCurrent(session),
                    case .webSocket(let webSocket) = self.connections[Int(session.slot)]!.phase
                else { continue }
                webSocket.session?.receivedBinary(into: &self.steps)
                self.runSteps(Int(session.slot), webSocket)
            case .upgraded(let socket):
                self.takeOver(SocketToken(socket), for: session)
            case .closed(let closure):
                self.engineSessionClosed(session, closure)
            }
        }
        guard self.isCurrent(session) else { return }
        self.clearUnpolledIfEmpty(Int(session.slot))
        self.scheduleTimer(Int(session.slot))
    }

    /// After a poll has fetched the last packet, everything counts as delivered, and replays
    /// continue.
    mutating func clearUnpolledIfEmpty(_ slot: Int) {
        guard self.table.hot[slot].flags.contains(.hasUnpolledPackets),
            case .webSocket(let webSocket) = self.connections[slot]!.phase,
            let engine = webSocket.engine, engine.session.waitingPackets == 0,
            !engine.isAttachingSocket
        else { return }
        self.table.hot[slot].flags.remove(.hasUnpolledPackets)
        guard !webSocket.hasSentClose, self.connections[slot]!.backlog.isEmpty else { return }
        for subscription in webSocket.subscriptions { self.queueReportIfDue(subscription.feed) }
        self.resumeCatchUp(slot, webSocket)
    }

    /// The slot of a session's WebSocket. The WebSocket belongs to the session's connection, or is
    /// still a connection of its own.
    private func slot(of socket: EngineSocketID, _ session: SocketToken) -> Int? {
        let token: SocketToken
        if self.isCurrent(session),
            case .webSocket(let webSocket) = self.connections[Int(session.slot)]!.phase,
            webSocket.engine?.socket == socket
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
        case .payload(let range):
            self.respondPending(
                request, engine,
                HTTPResponse(
                    contentType: "text/plain; charset=UTF-8", body: Array(steps.text.bytes[range])))
        case .accepted:
            self.respondPending(
                request, engine, HTTPResponse(contentType: "text/html", body: Array("ok".utf8)))
        case .refused(let refusal):
            self.refusePending(request, engine, refusal)
        }
        // The outbox has room for more.
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

    /// Sends the response of a pending request. Then the connection may send the next request.
    mutating func respondPending(
        _ request: EngineRequestID, _ engine: PendingEngineRequest, _ response: HTTPResponse
    ) {
        let token = SocketToken(request)
        guard self.isCurrent(token),
            case .http(let exchange) = self.connections[Int(token.slot)]!.phase
        else { return }
        let slot = Int(token.slot)
        // After an unread body the next request cannot be found. A drain may have begun since the
        // request.
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

    // MARK: Messages from the client

    /// Handles a message from a POST.
    private mutating func receivePostedMessage(
        _ session: SocketToken, _ data: UnsafeRawBufferPointer
    ) {
        guard self.isCurrent(session),
            case .webSocket(let webSocket) = self.connections[Int(session.slot)]!.phase,
            let engine = webSocket.engine
        else {
            return
        }
        if self.connections[Int(session.slot)]!.isReadingPaused || !engine.unreadPosts.isEmpty {
            engine.appendUnread(data)
        } else {
            self.receivedMessage(Int(session.slot), webSocket, .text, data)
        }
    }

    /// Handles the messages that arrived while reading was paused.
    mutating func readPostedMessages(
        _ slot: Int, _ webSocket: WebSocketState, _ engine: EngineState
    ) {
        let token = self.connections[slot]!.token
        let unread = engine.drainUnread()
        for range in unread.indices {
            guard self.isCurrent(token), !webSocket.hasSentClose else { return }
            guard !self.connections[slot]!.isReadingPaused else {
                return engine.prependUnread(unread[range...])
            }
            unread[range].withUnsafeBytes { self.receivedMessage(slot, webSocket, .text, $0) }
        }
    }

    /// Handles a message of a WebSocket that carries a session or is to take over one.
    mutating func receivedPacket(
        _ slot: Int, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        if let probe = webSocket.remoteProbe {
            return self.receivedProbePacket(slot, webSocket, probe, kind, bytes)
        }
        let token = self.connections[slot]!.token
        let now = self.now.monotonic
        if let session = webSocket.probedSession {
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
        guard let engine = webSocket.engine, let socket = engine.socket else { return }
        if kind == .binary { return self.receivedMessage(slot, webSocket, .binary, bytes) }
        // Most packets are messages, which the session need not see.
        if bytes.first == EnginePacketKind.message.typeByte {
            return self.receivedMessage(
                slot, webSocket, .text, UnsafeRawBufferPointer(rebasing: bytes.dropFirst()))
        }
        let copy = Array(bytes)
        self.updateEngine(token, copy) { $0.received($1, on: socket, at: now, into: &$2) }
    }

    // MARK: Packets to the client

    /// The limit of the outbox. Further frames stay in the backlog, as with a socket that accepts
    /// no more.
    private static let pollableBytes = 256 << 10

    /// Appends frames to the outbox, for the next poll.
    ///
    /// - Parameter bytes: server frames, as they would be written to a socket.
    /// - Returns: how many bytes were accepted.
    mutating func writePackets(_ bytes: UnsafeRawBufferPointer, to slot: Int) -> Int {
        guard case .webSocket(let webSocket) = self.connections[slot]!.phase,
            let engine = webSocket.engine,
            !engine.isAttachingSocket
        else { return 0 }
        let token = self.connections[slot]!.token
        var steps = EngineSteps()
        var offset = 0
        while let frame = WrittenFrame(bytes, at: offset) {
            // A companion must be in the same response as the packet before it.
            let isCompanion = self.shared.engine?.isCompanion(frame, in: bytes) ?? false
            guard
                isCompanion || engine.session.waitingPackets == 0
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
            if isCompanion {
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

    /// Whether the first frame of the backlog is the companion of the outbox's last packet.
    func hasCompanionNext(_ slot: Int) -> Bool {
        guard self.table.hot[slot].flags.contains(.isPolling),
            let (frame, offset) = self.connections[slot]?.backlog.first
        else {
            return false
        }
        guard let endpoint = self.shared.engine else { return false }
        return frame.withBytes { bytes in
            WrittenFrame(bytes, at: offset).map { endpoint.isCompanion($0, in: bytes) } ?? false
        }
    }

    /// Answers waiting polls at the end of a turn's writes.
    mutating func answerPolls() {
        guard !self.pollableSessions.isEmpty || !self.engineSteps.isEmpty else { return }
        let (tokens, steps) = (self.pollableSessions, self.engineSteps)
        self.pollableSessions.removeAll(keepingCapacity: true)
        self.engineSteps.removeAll(keepingCapacity: true)
        for (token, steps) in steps { self.runEngineSteps(steps, of: token) }
        for token in tokens { self.updateEngine(token) { $0.flush(into: &$1) } }
    }

    /// The packets of the backlog.
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

    // MARK: End of a session

    /// Removes a session that has ended. A polling session's connection is dropped.
    private mutating func engineSessionClosed(_ session: SocketToken, _ closure: EngineClosure) {
        guard self.isCurrent(session),
            case .webSocket(let webSocket) = self.connections[Int(session.slot)]!.phase,
            let engine = webSocket.engine
        else {
            return
        }
        let slot = Int(session.slot)
        self.engineSessions[engine.session.id] = nil
        guard self.table.hot[slot].flags.contains(.isPolling) else { return }
        if !webSocket.hasSentClose {
            self.closeSent(slot, webSocket, WebSocketCloseCode(rawValue: closure.webSocketCode))
        }
        self.drop(slot)
    }

    /// Cleans up after a dropped connection that had a session or was to take over one.
    mutating func engineConnectionDropped(_ token: SocketToken, _ webSocket: WebSocketState) {
        if let probe = webSocket.remoteProbe {
            self.cancelForwardedRequests(of: token)
            self.remoteProbeDropped(probe)
        }
        if let session = webSocket.probedSession {
            self.updateEngine(session) { $0.socketClosed(EngineSocketID(token), into: &$1) }
        }
        guard let engine = webSocket.engine else { return }
        self.engineSessions[engine.session.id] = nil
        // Pending requests get an answer.
        var steps = EngineSteps()
        engine.session.close(
            code: 1001, reason: "the connection has ended", at: self.now.monotonic, into: &steps)
        for step in steps.list {
            guard case .answer(let request, let answer) = step else { continue }
            if let remote = engine.remoteRequests[request.rawValue] {
                let text = ForwardedMessage.encodeReply(request.rawValue, answer, steps)
                engine.remoteRequests[request.rawValue]!.answer = text
                self.relay?.send(
                    RemoteLoopMessage(to: remote.loop, text), to: remote.node, from: self.chat.id)
            } else {
                self.answer(request, answer, steps, of: token)
            }
        }
        self.retainReplies(of: engine)
    }
}
