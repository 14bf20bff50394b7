import Bytes
import ChatCore
import ChatModel
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// Requests of Engine.IO that have come to this node and are for another's sessions.
extension LoopState {
    /// Whether a session may be at a node: one that is not there has none.
    func isInView(_ node: UInt64) -> Bool { self.relay != nil && self.chat.view.node(node) != nil }

    /// Asks the session's node; whoever waits for the answer is a connection that reads nothing else meanwhile.
    ///
    /// - Parameter number: of a POST whose head has been carried.
    mutating func forward(
        _ kind: ForwardedMessage.Kind, to home: SessionLocation, _ session: EngineSessionID,
        by visitor: RequestIdentity = .noToken,
        for asker: SocketToken, _ body: String, number: UInt64 = ForwardedMessage.randomNumber()
    ) {
        let errand = ForwardedRequest(
            kind: kind, node: home.node, loop: UInt16(clamping: home.loop), session: session,
            identity: visitor, requester: asker, body: body,
            retryAt: 0,
            deadline: kind == .poll || kind == .began
                ? .max : self.now.monotonic + ForwardedRequest.timeoutMilliseconds)
        self.forwardedRequests[number] = errand
        self.sendForwardedRequest(number)
    }

    private mutating func sendForwardedRequest(_ number: UInt64) {
        guard let errand = self.forwardedRequests[number] else { return }
        self.forwardedRequests[number]!.retryAt = self.now.monotonic + errand.retryInterval
        let text = ForwardedMessage.encodeRequest(
            errand.kind, number, from: UInt16(self.index), errand.session, by: errand.identity,
            errand.body)
        self.relay?.send(
            RemoteLoopMessage(to: errand.loop, text), to: errand.node, from: self.chat.id)
    }

    /// What has not been answered is asked for again, and what cannot be is given up.
    mutating func retryForwardedRequests() {
        for (number, errand) in self.forwardedRequests where errand.retryAt <= self.now.monotonic {
            if errand.deadline <= self.now.monotonic || !self.isInView(errand.node) {
                self.handleReply(number, .refused(.unknownSession, closes: false))
            } else {
                self.sendForwardedRequest(number)
            }
        }
        for (number, departed) in self.retainedReplies where departed.until <= self.now.monotonic {
            self.retainedReplies[number] = nil
        }
    }

    /// The connection that waited is gone.
    mutating func cancelForwardedRequests(of token: SocketToken) {
        guard !self.forwardedRequests.isEmpty else { return }
        for (number, errand) in self.forwardedRequests where errand.requester == token {
            self.forwardedRequests[number] = nil
            guard errand.kind == .poll else { continue }
            self.notifySessionNode(.broke, number, errand.node, errand.loop, errand.session)
        }
    }

    /// A POST has broken off before its body was whole.
    func notifyPostAborted(
        _ number: UInt64, of session: EngineSessionID, by visitor: RequestIdentity,
        at home: SessionLocation
    ) {
        self.notifySessionNode(
            .torn, number, home.node, UInt16(clamping: home.loop), session, by: visitor)
    }

    private func notifySessionNode(
        _ kind: ForwardedMessage.Kind, _ number: UInt64, _ node: UInt64, _ loop: UInt16,
        _ session: EngineSessionID,
        by visitor: RequestIdentity = .noToken
    ) {
        let text = ForwardedMessage.encodeRequest(
            kind, 0, from: UInt16(self.index), session, by: visitor, String(number))
        self.relay?.send(RemoteLoopMessage(to: loop, text), to: node, from: self.chat.id)
    }

    private mutating func handleReply(_ number: UInt64, _ answer: ForwardedMessage.SessionReply) {
        guard let errand = self.forwardedRequests.removeValue(forKey: number) else {
            return self.closeRemoteProbe(number, answer)
        }
        guard self.isCurrent(errand.requester) else { return }
        let slot = Int(errand.requester.slot)
        switch (self.connections[slot]!.phase, answer) {
        case (.http(let exchange), _):
            guard let engine = exchange.engineRequest else { return }
            if errand.kind == .probe, let upgrade = engine.upgrade {
                engine.upgrade = nil
                switch answer {
                case .accepted: return self.beginRemoteProbe(slot, errand, number, upgrade)
                case .closed:
                    self.beginRemoteProbe(slot, errand, number, upgrade)
                    return self.closeRemoteProbe(number, answer)
                case .payload, .refused, .transferred: break
                }
            }
            let request = EngineRequestID(errand.requester)
            switch answer {
            case .payload(let text):
                self.respondPending(
                    request, engine,
                    .init(contentType: "text/plain; charset=UTF-8", body: Array(text.utf8)))
            case .accepted:
                self.respondPending(
                    request, engine, .init(contentType: "text/html", body: Array("ok".utf8)))
            case .refused(let refusal, let closes):
                if closes { engine.responseContext.keepsAlive = false }
                self.refusePending(request, engine, refusal)
            case .transferred, .closed: self.refusePending(request, engine, .unknownSession)
            }
        case (.webSocket(let talk), .transferred(let text)):
            guard let probe = talk.remoteProbe, let departure = SessionTransfer(text) else {
                return
            }
            self.adoptSession(slot, talk, probe.session, departure)
        case (.webSocket(let talk), .closed(let code, let reason)):
            self.closeWebSocket(slot, talk, WebSocketCloseCode(rawValue: code), String(reason))
        case (.webSocket(let talk), _):
            self.closeWebSocket(
                slot, talk, WebSocketCloseCode(rawValue: 1008), "the session is over")
        default:
            break
        }
    }

    /// The session has closed a WebSocket that was to take it over.
    private mutating func closeRemoteProbe(
        _ number: UInt64, _ answer: ForwardedMessage.SessionReply
    ) {
        guard case .closed(let code, let reason) = answer, let token = self.remoteProbes[number],
            self.isCurrent(token),
            case .webSocket(let talk) = self.connections[Int(token.slot)]!.phase,
            talk.remoteProbe?.number == number
        else { return }
        self.closeWebSocket(
            Int(token.slot), talk, WebSocketCloseCode(rawValue: code), String(reason))
    }

    // MARK: A WebSocket that takes over

    private mutating func beginRemoteProbe(
        _ slot: Int, _ errand: ForwardedRequest, _ number: UInt64, _ upgrade: WebSocketUpgrade
    ) {
        self.frameBuffer.removeAll()
        upgrade.uncompressed.appendResponse(to: &self.frameBuffer)
        self.send(slot, SharedFrame(self.frameBuffer.bytes))
        let talk = self.makeWebSocketState(
            nil, dialect: -1, acceptsCompression: false, isCompressed: false)
        talk.remoteProbe = RemoteProbe(
            number: number, node: errand.node, loop: errand.loop, session: errand.session)
        self.connections[slot]!.phase = .webSocket(talk)
        // The session closes it when that took too long; later than that there is none.
        self.setDeadline(
            slot,
            after: .milliseconds(self.shared.engine?.settings.upgradeTimeout ?? 0) + .seconds(1))
        let token = self.connections[slot]!.token
        self.remoteProbes[number] = token
        if self.isCurrent(token), !self.connections[slot]!.unread.isEmpty {
            self.pauseReading(slot)
            self.resumeReading(slot)
        }
    }

    /// `2probe`, and then `5`.
    mutating func receivedProbePacket(
        _ slot: Int, _ talk: WebSocketState, _ probe: RemoteProbe, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        let text = String(decoding: bytes, as: UTF8.self)
        switch (kind, text, probe.hasReceivedProbe) {
        case (.text, "2probe", false):
            talk.remoteProbe!.hasReceivedProbe = true
            Array("3probe".utf8).withUnsafeBytes { self.sendFrame(slot, .text, $0) }
        case (.text, "5", true):
            self.pauseReading(slot)
            let home = SessionLocation(node: probe.node, loop: Int(probe.loop))
            self.forward(
                .take, to: home, probe.session, for: self.connections[slot]!.token,
                String(probe.number))
        default:
            self.closeWebSocket(
                slot, talk, WebSocketCloseCode(rawValue: 1002),
                "the packet \(probe.hasReceivedProbe ? "5" : "2probe") was expected")
        }
    }

    mutating func remoteProbeDropped(_ probe: RemoteProbe) {
        self.remoteProbes[probe.number] = nil
        self.notifySessionNode(.closed, probe.number, probe.node, probe.loop, probe.session)
    }

    /// The session is here from now on.
    private mutating func adoptSession(
        _ slot: Int, _ probe: WebSocketState, _ id: EngineSessionID, _ departure: SessionTransfer
    ) {
        guard let engine = self.shared.engine,
            let session = self.shared.settings.dialects[engine.dialect].resume(
                departure.state, allowsAnonymous: self.shared.settings.allowsAnonymous,
                at: self.now.monotonic)
        else {
            return self.closeWebSocket(
                slot, probe, WebSocketCloseCode(rawValue: 1008), "the session is over")
        }
        if let number = probe.remoteProbe?.number { self.remoteProbes[number] = nil }
        let token = self.connections[slot]!.token
        let socket = EngineSocketID(token)
        let talk = self.makeWebSocketState(
            session, dialect: engine.dialect, acceptsCompression: false, isCompressed: false)
        talk.reader = probe.reader
        talk.engine = EngineState(
            EngineSession(id, engine.settings, movedTo: socket, at: self.now.monotonic),
            socket: socket)
        if departure.expiresAfter != 0 {
            talk.expiresAt = self.now.monotonic + departure.expiresAfter
        }
        self.connections[slot]!.phase = .webSocket(talk)
        self.engineSessions[id] = token
        for packet in departure.packets {
            Array(packet.utf8).withUnsafeBytes { self.sendFrame(slot, .text, $0) }
        }
        self.beginSession(talk, slot)
        if self.isCurrent(token) { self.resumeReadingIfUnblocked(slot, talk) }
    }

    // MARK: What other nodes carry here

    mutating func receiveForwardedMessage(_ text: String, from node: UInt64) {
        switch ForwardedMessage(text) {
        case .request(let question): self.handleRequest(question, from: node)
        case .reply(let number, let answer): self.handleReply(number, answer)
        case .broadcast(let dialect, let word):
            self.shared.settings.dialects.first { $0.name.description == dialect }?
                .receiveBroadcast(word)
        case nil: break
        }
    }

    /// Something that all nodes' sessions of a dialect go by.
    func broadcastToNodes(_ word: String, of dialect: Int) {
        guard let relay = self.relay else { return }
        let letter = RemoteLoopMessage(
            to: 0,
            ForwardedMessage.encodeBroadcast(
                word, of: self.shared.settings.dialects[dialect].name.description))
        for node in self.chat.view.nodes where node.incarnation != self.chat.id.incarnation {
            relay.send(letter, to: node.incarnation, from: self.chat.id)
        }
    }

    private mutating func handleRequest(
        _ question: ForwardedMessage.SessionRequest, from node: UInt64
    ) {
        if let departed = self.retainedReplies[question.number] {
            return self.sendReply(departed.answer, to: node, question.loop)
        }
        guard let token = self.engineSessions[question.session], self.isCurrent(token),
            case .webSocket(let talk) = self.connections[Int(token.slot)]!.phase,
            let engine = talk.engine
        else {
            return self.refuseRemoteRequest(question, .unknownSession, to: node)
        }
        guard self.isAllowed(question.identity, for: talk) else {
            return self.refuseRemoteRequest(question, .forbidden, to: node)
        }
        self.table.hot[Int(token.slot)].lastReceivedTick = self.tickNumber
        if var known = engine.remoteRequests[question.number] {
            known.node = node
            known.loop = question.loop
            known.lastRequestedAt = self.now.monotonic
            engine.remoteRequests[question.number] = known
            if let answer = known.answer { return self.sendReply(answer, to: node, question.loop) }
            guard question.kind == .take || known.kind == .began && question.kind.endsBody else {
                return
            }
        }
        let now = self.now.monotonic
        switch question.kind {
        case .poll:
            self.recordRemoteRequest(question, from: node, engine)
            self.updateEngine(token) {
                $0.poll(EngineRequestID(forwarded: question.number), at: now, into: &$1)
            }
        case .began:
            self.beginRemotePost(
                question, announcedBytes: Int(question.body), from: node, token, engine)
        case .post, .bytes:
            let body =
                question.kind == .post
                ? Array(question.body.utf8) : Base64URL.decode(question.body.utf8)
            guard let body,
                self.beginRemotePost(
                    question, announcedBytes: body.count, from: node, token, engine)
            else { return }
            self.updateEngine(token, body) {
                $0.postEnded(EngineRequestID(forwarded: question.number), $1, at: now, into: &$2)
            }
        case .tooLong:
            guard self.beginRemotePost(question, announcedBytes: .max, from: node, token, engine)
            else { return }
            self.updateEngine(token) {
                $0.postTooLarge(EngineRequestID(forwarded: question.number), into: &$1)
            }
        case .probe:
            self.recordRemoteRequest(question, from: node, engine)
            self.updateEngine(token, Array("2probe".utf8)) {
                $0.socketOpened(EngineSocketID(forwarded: question.number), at: now, into: &$2)
                $0.received($1, on: EngineSocketID(forwarded: question.number), at: now, into: &$2)
            }
        case .take:
            guard let socket = UInt64(question.body) else { return }
            self.transferSession(
                token, talk, engine, EngineSocketID(forwarded: socket), question, to: node)
        case .broke:
            guard let number = UInt64(question.body) else { return }
            self.updateEngine(token) {
                $0.pollAborted(EngineRequestID(forwarded: number), into: &$1)
            }
        case .torn:
            guard let number = UInt64(question.body) else { return }
            let hasBegun = engine.remoteRequests[number]?.hasProcessedHead ?? false
            self.updateEngine(token) {
                if !hasBegun {
                    $0.postBegan(EngineRequestID(forwarded: number), announcedBytes: nil, into: &$1)
                }
                $0.postAborted(EngineRequestID(forwarded: number), into: &$1)
            }
        case .closed:
            guard let number = UInt64(question.body) else { return }
            self.updateEngine(token) {
                $0.socketClosed(EngineSocketID(forwarded: number), into: &$1)
            }
        }
    }

    private func refuseRemoteRequest(
        _ question: ForwardedMessage.SessionRequest, _ refusal: EngineRefusal, to node: UInt64
    ) {
        switch question.kind {
        // Nobody waits for an answer.
        case .broke, .closed, .torn: return
        case .poll, .post, .bytes, .began, .tooLong, .probe, .take:
            // The session's own node does not wait for the body of what it refuses.
            let closes = question.kind == .began || question.kind.endsBody
            self.sendReply(
                ForwardedMessage.encodeReply(
                    question.number, .refused(refusal), EngineSteps(), closes: closes), to: node,
                question.loop)
        }
    }

    /// The session takes the head of a POST, unless it has taken it before.
    ///
    /// - Returns: whether it waits for the body.
    @discardableResult
    private mutating func beginRemotePost(
        _ question: ForwardedMessage.SessionRequest, announcedBytes: Int?, from node: UInt64,
        _ token: SocketToken, _ engine: EngineState
    ) -> Bool {
        let number = question.number
        if engine.remoteRequests[number]?.hasProcessedHead == true {
            engine.remoteRequests[number]!.kind = question.kind
            return true
        }
        self.recordRemoteRequest(question, from: node, engine)
        // Who is made to wait sends no more than that besides.
        let isTooMuch = engine.unreadPostBytes > (self.shared.engine?.settings.maxPayload ?? 0)
        self.updateEngine(token) {
            $0.postBegan(
                EngineRequestID(forwarded: number),
                announcedBytes: isTooMuch ? .max : announcedBytes, into: &$1)
        }
        guard let request = engine.remoteRequests[number], request.answer == nil else {
            return false
        }
        engine.remoteRequests[number]!.hasProcessedHead = true
        return true
    }

    private func recordRemoteRequest(
        _ question: ForwardedMessage.SessionRequest, from node: UInt64, _ engine: EngineState
    ) {
        if engine.remoteRequests.count >= RemoteRequest.perSessionLimit,
            let oldest = engine.remoteRequests.filter({ $0.value.answer != nil }).min(by: {
                $0.value.lastRequestedAt < $1.value.lastRequestedAt
            })
        {
            engine.remoteRequests[oldest.key] = nil
        }
        engine.remoteRequests[question.number] = RemoteRequest(
            node: node, loop: question.loop, kind: question.kind,
            lastRequestedAt: self.now.monotonic)
    }

    private func sendReply(_ text: String, to node: UInt64, _ loop: UInt16) {
        self.relay?.send(RemoteLoopMessage(to: loop, text), to: node, from: self.chat.id)
    }

    /// A request that another node carries has its answer.
    mutating func answerRemoteRequest(
        _ request: EngineRequestID, _ answer: EngineAnswer, _ steps: EngineSteps,
        of session: SocketToken
    ) {
        guard case .webSocket(let talk)? = self.connections[Int(session.slot)]?.phase,
            let engine = talk.engine,
            var known = engine.remoteRequests[request.rawValue], known.answer == nil
        else { return }
        let closes = !known.hasProcessedHead && (known.kind == .began || known.kind.endsBody)
        let text = ForwardedMessage.encodeReply(request.rawValue, answer, steps, closes: closes)
        known.answer = text
        engine.remoteRequests[request.rawValue] = known
        // Of polls the last answer is enough: the client polls again only when it has it.
        if known.kind == .poll {
            for (number, other) in engine.remoteRequests
            where other.kind == .poll && other.answer != nil && number != request.rawValue {
                engine.remoteRequests[number] = nil
            }
        }
        self.sendReply(text, to: known.node, known.loop)
        guard self.isCurrent(session), !self.connections[Int(session.slot)]!.backlog.isEmpty else {
            return
        }
        self.drainBacklog(Int(session.slot))
    }

    /// A WebSocket elsewhere may take over: whoever carries it is told. What the session wants sent there is said there.
    mutating func acceptRemoteProbe(_ socket: EngineSocketID, of session: SocketToken) {
        self.answerRemoteRequest(
            EngineRequestID(forwarded: socket.rawValue), .accepted, EngineSteps(), of: session)
    }

    /// The session closes it, be it that it has said before that it may take over.
    func replyProbeClosed(
        _ socket: EngineSocketID, code: UInt16, _ reason: String, of session: SocketToken
    ) {
        guard case .webSocket(let talk)? = self.connections[Int(session.slot)]?.phase,
            let engine = talk.engine,
            let known = engine.remoteRequests[socket.rawValue]
        else { return }
        let text = ForwardedMessage.encodeClose(socket.rawValue, code: code, reason)
        engine.remoteRequests[socket.rawValue]!.answer = text
        self.sendReply(text, to: known.node, known.loop)
    }

    /// A session is over: its last answers are given again for a while, where they were lost.
    mutating func retainReplies(of engine: EngineState) {
        for (number, request) in engine.remoteRequests {
            guard let answer = request.answer, self.retainedReplies[number] == nil,
                self.retainedReplies.count < RemoteRequest.endedSessionLimit
            else {
                continue
            }
            self.retainedReplies[number] = (
                answer, self.now.monotonic + RemoteRequest.timeoutMilliseconds
            )
        }
    }

    /// Polls, and POSTs whose bodies are under way, that no node asks for any more have broken.
    mutating func expireRemoteRequests(_ session: SocketToken, _ engine: EngineState) {
        guard !engine.remoteRequests.isEmpty else { return }
        for (number, request) in engine.remoteRequests
        where self.now.monotonic - request.lastRequestedAt > RemoteRequest.timeoutMilliseconds {
            engine.remoteRequests[number] = nil
            guard request.answer == nil else { continue }
            switch request.kind {
            case .poll:
                self.updateEngine(session) {
                    $0.pollAborted(EngineRequestID(forwarded: number), into: &$1)
                }
            case .began:
                self.updateEngine(session) {
                    $0.postAborted(EngineRequestID(forwarded: number), into: &$1)
                }
            default: break
            }
        }
    }

    /// The session goes to the node that has its WebSocket, when nothing that it has asked for is on its way any more.
    private mutating func transferSession(
        _ token: SocketToken, _ talk: WebSocketState, _ engine: EngineState,
        _ socket: EngineSocketID, _ question: ForwardedMessage.SessionRequest,
        to node: UInt64
    ) {
        let slot = Int(token.slot)
        guard talk.unansweredCommandCount == 0, talk.blockingReplyCount == 0,
            engine.unreadPosts.isEmpty
        else { return }
        // Everything that the feeds have shown is in the outbox or behind it.
        self.writeTurn(slot)
        guard self.isCurrent(token), let session = talk.session else { return }
        var steps = EngineSteps()
        engine.session.received(
            Array("5".utf8).span.bytes, on: socket, at: self.now.monotonic, into: &steps)
        guard engine.session.socket == socket else {
            return self.sendReply(
                ForwardedMessage.encodeReply(question.number, .refused(.badRequest), steps),
                to: node, question.loop)
        }
        var packets: [String] = []
        for step in steps.list {
            switch step {
            case .answer(let request, let answer): self.answer(request, answer, steps, of: token)
            case .send(let packet, _):
                packet.withBytes { packets.append(String(decoding: $0, as: UTF8.self)) }
            case .closeSocket, .message, .binary, .upgraded, .closed: break
            }
        }
        packets += self.backlogPackets(slot)
        let places = talk.subscriptions.map {
            (
                conversation: $0.conversation,
                through: $0.catchUp?.sentThrough ?? self.chat.deliveredThrough($0.feed)
            )
        }
        if let state = session.snapshot(at: places, now: self.now.monotonic) {
            let left = talk.expiresAt == 0 ? 0 : max(1, talk.expiresAt - self.now.monotonic)
            let text = ForwardedMessage.encodeTransfer(
                question.number,
                state: SessionTransfer(expiresAfter: left, state: state, packets: packets).text)
            self.retainedReplies[question.number] = (
                text, self.now.monotonic + RemoteRequest.timeoutMilliseconds
            )
            self.sendReply(text, to: node, question.loop)
        } else {
            self.sendReply(
                ForwardedMessage.encodeReply(
                    question.number, .refused(.unknownSession), EngineSteps()), to: node,
                question.loop)
        }
        self.engineSessions[engine.session.id] = nil
        self.drop(slot)
    }
}

extension ForwardedMessage.Kind {
    /// Of a POST: its session need not wait for more.
    var endsBody: Bool { self == .post || self == .bytes || self == .tooLong }
}

/// A WebSocket here that is to take over from a session elsewhere.
struct RemoteProbe {
    let number: UInt64
    let node: UInt64
    let loop: UInt16
    let session: EngineSessionID
    /// `2probe` has come.
    var hasReceivedProbe = false
}
