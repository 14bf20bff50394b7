internal import Bytes
public import EngineIO
public import EventLoop

/// Requests of clients of other nodes, for sessions on this loop.
extension EngineServer {
    /// A message from another node. A broadcast has no effect: the caller passes it to the dialect.
    ///
    /// - Parameters:
    ///   - owner: for a request, the owner of `session(_:)` of `NodeSessionRequest.session`; nil if
    ///     this loop does not have the session.
    ///   - node: the incarnation of the sender.
    public mutating func received(
        _ message: EngineNodeMessage, from node: UInt64, owner: EngineSessionOwner?, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        switch message {
        case .request(let request):
            self.receiveRequest(request, from: node, owner, at: now, into: &directives)
        case .reply(let number, let reply):
            self.receiveReply(reply, to: number, at: now, into: &directives)
        case .broadcast: break
        }
    }

    private mutating func receiveRequest(
        _ request: NodeSessionRequest, from node: UInt64, _ owner: EngineSessionOwner?,
        at now: Int64, into directives: inout EngineDirectives
    ) {
        if let retained = self.retainedReplies[request.number] {
            directives.append(.sendToNode(node, loop: request.loop, retained.text))
            return
        }
        guard let token = self.sessionTokens[request.session],
            let session = self.sessions[token]
        else { return self.refuse(request, .unknownSession, to: node, into: &directives) }
        guard
            request.identity.isAllowed(for: owner, hasInvalidToken: session.hasInvalidToken)
        else { return self.refuse(request, .forbidden, to: node, into: &directives) }
        if var known = session.inbound[request.number] {
            known.node = node
            known.loop = request.loop
            known.lastRequestedAt = now
            self.sessions[token]?.inbound[request.number] = known
            if let reply = known.reply {
                directives.append(.sendToNode(node, loop: request.loop, reply))
                return
            }
            guard known.kind == .postStarted, request.kind.completesPost else { return }
        }
        self.execute(request, from: node, token, at: now, into: &directives)
    }

    private mutating func execute(
        _ request: NodeSessionRequest, from node: UInt64, _ token: SocketToken, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        let id = EngineRequestID(forwarded: request.number)
        switch request.kind {
        case .poll:
            self.record(request, from: node, token, at: now)
            self.update(token, into: &directives) {
                $0.poll(id, provenBy: request.proof, at: now, into: &$1)
            }
        case .postStarted:
            self.beginPost(
                request, announcedBytes: Int(request.body), from: node, token, at: now,
                into: &directives)
        case .post:
            self.receivePost(
                request, body: Array(request.body.utf8), from: node, token, at: now,
                into: &directives)
        case .binaryPost:
            guard let body = Base64URL.decode(request.body.utf8) else { return }
            self.receivePost(
                request, body: body, from: node, token, at: now, into: &directives)
        case .postTooLong:
            guard
                self.beginPost(
                    request, announcedBytes: .max, from: node, token, at: now, into: &directives)
            else { return }
            self.update(token, into: &directives) { $0.postTooLarge(id, into: &$1) }
        case .probe:
            self.record(request, from: node, token, at: now)
            let (socket, probe) = (EngineSocketID(forwarded: request.number), Array("2probe".utf8))
            self.update(token, into: &directives) {
                $0.socketOpened(socket, at: now, into: &$1)
                $0.received(probe.span.bytes, on: socket, at: now, into: &$1)
            }
        case .takeOver:
            self.prepareTransfer(request, from: node, token, into: &directives)
        case .pollArrived, .pollAborted, .postAborted, .probeClosed:
            guard let number = UInt64(request.body) else { return }
            self.requestEnded(request.kind, number, token, into: &directives)
        }
    }

    /// The connection of a forwarded request has ended.
    private mutating func requestEnded(
        _ kind: NodeSessionRequest.Kind, _ number: UInt64, _ token: SocketToken,
        into directives: inout EngineDirectives
    ) {
        let id = EngineRequestID(forwarded: number)
        switch kind {
        case .pollArrived:
            self.update(token, into: &directives) { $0.answerArrived(id, into: &$1) }
        case .pollAborted:
            self.update(token, into: &directives) { $0.pollAborted(id, into: &$1) }
        case .postAborted:
            // The message with the head may be lost.
            let hasProcessedHead =
                self.sessions[token]?.inbound[number]?.hasProcessedHead ?? false
            self.update(token, into: &directives) {
                if !hasProcessedHead { $0.postBegan(id, announcedBytes: nil, into: &$1) }
                $0.postAborted(id, into: &$1)
            }
        case .probeClosed:
            self.update(token, into: &directives) {
                $0.socketClosed(EngineSocketID(forwarded: number), into: &$1)
            }
        case .poll, .post, .binaryPost, .postStarted, .postTooLong, .probe, .takeOver: break
        }
    }

    private func refuse(
        _ request: NodeSessionRequest, _ refusal: EngineRefusal, to node: UInt64,
        into directives: inout EngineDirectives
    ) {
        guard !request.kind.isNotification else { return }
        // As for a local request, the body of a refused POST is not read, so the connection must
        // close.
        let closes = request.kind == .postStarted || request.kind.completesPost
        let text = EngineNodeMessage.encodeReply(request.number, refusal: refusal, closes: closes)
        directives.append(.sendToNode(node, loop: request.loop, text))
    }

    // MARK: POSTs

    private mutating func receivePost(
        _ request: NodeSessionRequest, body: [UInt8], from node: UInt64, _ token: SocketToken,
        at now: Int64, into directives: inout EngineDirectives
    ) {
        guard
            self.beginPost(
                request, announcedBytes: body.count, from: node, token, at: now, into: &directives)
        else { return }
        self.update(token, input: body, into: &directives) {
            $0.postEnded(
                EngineRequestID(forwarded: request.number), body.span.bytes, at: now, into: &$1)
        }
    }

    /// Passes the head of a POST to the session, unless the session has processed it before.
    ///
    /// - Returns: whether the session expects the body.
    @discardableResult
    private mutating func beginPost(
        _ request: NodeSessionRequest, announcedBytes: Int?, from node: UInt64,
        _ token: SocketToken, at now: Int64, into directives: inout EngineDirectives
    ) -> Bool {
        let number = request.number
        if self.sessions[token]?.inbound[number]?.hasProcessedHead == true { return true }
        self.record(request, from: node, token, at: now)
        let hasTooMuchUnread = self.sessions[token]?.hasTooMuchUnread(self.settings) ?? false
        self.update(token, into: &directives) {
            $0.postBegan(
                EngineRequestID(forwarded: number),
                announcedBytes: hasTooMuchUnread ? .max : announcedBytes, into: &$1)
        }
        guard let recorded = self.sessions[token]?.inbound[number], recorded.reply == nil else {
            return false
        }
        self.sessions[token]?.inbound[number]?.hasProcessedHead = true
        return true
    }

    private mutating func record(
        _ request: NodeSessionRequest, from node: UInt64, _ token: SocketToken, at now: Int64
    ) {
        self.sessions[token]?.record(
            InboundRequest(
                node: node, loop: request.loop, kind: request.kind, lastRequestedAt: now),
            request.number)
    }

    // MARK: Replies

    /// Answers a request of another node, once.
    mutating func reply(
        to request: EngineRequestID, _ response: EngineResponse, of session: SocketToken,
        into directives: inout EngineDirectives
    ) {
        let number = request.rawValue
        guard let inbound = self.sessions[session]?.inbound[number], inbound.reply == nil else {
            return
        }
        let closes =
            !inbound.hasProcessedHead
            && (inbound.kind == .postStarted || inbound.kind.completesPost)
        let text = response.nodeReply(to: number, closes: closes)
        self.sessions[session]?.inbound[number]?.reply = text
        if inbound.kind == .poll {
            self.sessions[session]?.forgetReplies(toPollsExcept: number)
        }
        directives.append(.sendToNode(inbound.node, loop: inbound.loop, text))
        directives.append(.resumeWriting(session))
    }

    /// Reports that the session closes a forwarded WebSocket, even after it has accepted it.
    mutating func replyProbeClosed(
        _ socket: EngineSocketID, code: UInt16, _ reason: String, of session: SocketToken,
        into directives: inout EngineDirectives
    ) {
        let number = socket.rawValue
        guard let inbound = self.sessions[session]?.inbound[number] else { return }
        let text = EngineNodeMessage.encodeClose(number, code: code, reason)
        self.sessions[session]?.inbound[number]?.reply = text
        directives.append(.sendToNode(inbound.node, loop: inbound.loop, text))
    }

    /// Retains the replies of an ended session for a while, in case they were lost.
    mutating func retainReplies(of session: TransportSession, at now: Int64) {
        for (number, request) in session.inbound {
            guard let reply = request.reply, self.retainedReplies[number] == nil,
                self.retainedReplies.count < RetainedReply.limit
            else { continue }
            self.retainedReplies[number] = RetainedReply(reply, at: now)
        }
    }

    /// Ends polls and incomplete POSTs that their node does not repeat any more.
    mutating func expireInboundRequests(
        _ session: SocketToken, at now: Int64, into directives: inout EngineDirectives
    ) {
        guard let requests = self.sessions[session]?.inbound, !requests.isEmpty else { return }
        for (number, request) in requests
        where now - request.lastRequestedAt > InboundRequest.timeoutMilliseconds {
            self.sessions[session]?.inbound[number] = nil
            guard request.reply == nil else { continue }
            let id = EngineRequestID(forwarded: number)
            switch request.kind {
            case .poll:
                self.update(session, into: &directives) { $0.pollAborted(id, into: &$1) }
            case .postStarted:
                self.update(session, into: &directives) { $0.postAborted(id, into: &$1) }
            case .post, .binaryPost, .postTooLong, .probe, .takeOver, .pollArrived, .pollAborted,
                .probeClosed, .postAborted:
                break
            }
        }
    }

    // MARK: Transfers

    private func prepareTransfer(
        _ request: NodeSessionRequest, from node: UInt64, _ token: SocketToken,
        into directives: inout EngineDirectives
    ) {
        guard let number = UInt64(request.body), let session = self.sessions[token],
            session.unread.isEmpty
        else { return }
        directives.append(
            .prepareTransfer(
                token,
                EngineTransferRequest(
                    number: request.number, socket: EngineSocketID(forwarded: number), node: node,
                    loop: request.loop)))
    }

    /// Transfers a session to the node with its WebSocket (`EngineDirective.prepareTransfer`).
    ///
    /// Before the call, the caller writes the frames of the turn to the session.
    ///
    /// - Parameters:
    ///   - snapshot: the state of the dialect's session; nil if the dialect has none, so that the
    ///     session ends.
    ///   - expiresAfter: the remaining lifetime of the token in milliseconds; 0 if it does not
    ///     expire.
    ///   - backlog: the packets that `write` has not accepted.
    public mutating func transfer(
        _ session: SocketToken, for request: EngineTransferRequest, snapshot: String?,
        expiresAfter: Int64, backlog: [SharedPacket], at now: Int64,
        into directives: inout EngineDirectives
    ) {
        var steps = EngineSteps()
        let upgrade = Array("5".utf8)
        self.sessions[session]?.update(&steps) {
            $0.received(upgrade.span.bytes, on: request.socket, at: now, into: &$1)
        }
        guard let engine = self.sessions[session]?.engine else { return }
        guard engine.socket == request.socket else {
            return self.send(
                EngineNodeMessage.encodeReply(request.number, refusal: .badRequest), to: request,
                into: &directives)
        }
        var packets: [SharedPacket] = []
        for step in steps.list {
            switch step {
            case .answer(let id, let answer):
                self.answer(id, EngineResponse(answer, steps), of: session, into: &directives)
            case .send(let packet, _): packets.append(packet)
            case .closeSocket, .message, .binary, .control, .upgraded, .closed: break
            }
        }
        packets += backlog
        if let snapshot {
            let transfer = TransferredSession(
                expiresAfter: expiresAfter, state: snapshot,
                packets: packets.map { $0.withBytes { String(decoding: $0, as: UTF8.self) } })
            let text = EngineNodeMessage.encodeReply(request.number, transfer: transfer)
            self.retainedReplies[request.number] = RetainedReply(text, at: now)
            self.send(text, to: request, into: &directives)
        } else {
            self.send(
                EngineNodeMessage.encodeReply(request.number, refusal: .unknownSession),
                to: request, into: &directives)
        }
        self.sessionTokens[engine.id] = nil
        directives.append(.dropSession(session))
    }

    private func send(
        _ text: String, to request: EngineTransferRequest, into directives: inout EngineDirectives
    ) {
        directives.append(.sendToNode(request.node, loop: request.loop, text))
    }
}

extension EngineResponse {
    /// The response as a reply to another node.
    func nodeReply(to number: UInt64, closes: Bool) -> String {
        switch self {
        case .payload(let packets):
            EngineNodeMessage.encodeReply(
                number, payload: String(decoding: packets, as: UTF8.self))
        case .accepted: EngineNodeMessage.encodeAcceptance(number)
        case .refused(let refusal):
            EngineNodeMessage.encodeReply(number, refusal: refusal, closes: closes)
        }
    }
}
