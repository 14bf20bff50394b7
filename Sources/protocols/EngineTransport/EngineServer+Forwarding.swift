internal import EngineIO
internal import EventLoop

/// Requests that this node forwards to the node that has their session.
extension EngineServer {
    /// Whether `retry` must be called with every tick of the loop.
    public var needsRetry: Bool {
        !self.outboundRequests.isEmpty || !self.retainedReplies.isEmpty
    }

    /// Repeats requests that are not answered, gives up those that cannot be, and forgets old
    /// replies.
    ///
    /// - Parameter isMember: whether a node is in the cluster's view.
    public mutating func retry(
        at now: Int64, isMember: (UInt64) -> Bool, into directives: inout EngineDirectives
    ) {
        for (number, request) in self.outboundRequests where request.retryAt <= now {
            if request.deadline <= now || !isMember(request.address.node) {
                self.receiveReply(
                    .refused(.unknownSession, closes: false), to: number, at: now,
                    into: &directives)
            } else {
                self.sendRequest(number, at: now, into: &directives)
            }
        }
        for (number, reply) in self.retainedReplies where reply.until <= now {
            self.retainedReplies[number] = nil
        }
    }

    // MARK: Sending

    /// A random number for a new request.
    mutating func makeNumber() -> UInt64 { self.random.next() | 1 << 63 }

    /// Forwards a request of a connection that waits for the reply.
    mutating func forwardRequest(
        _ kind: NodeSessionRequest.Kind, _ request: EngineSessionRequest,
        to address: EngineSessionAddress, at now: Int64, into directives: inout EngineDirectives
    ) {
        let number = self.makeNumber()
        let connection = request.connection
        self.requests[connection] = LocalRequest(.forwarded(number))
        // A proxy repeats the poll elsewhere if this node ends before it has answered.
        let proof = kind == .poll && request.proof == .nextPoll ? .report : request.proof
        self.forward(
            OutboundRequest(
                kind, to: address, by: request.identity, for: connection, body: "", proof: proof,
                at: now),
            number, at: now, into: &directives)
    }

    /// Forwards the head or the body of a POST. Both have the same number.
    mutating func forward(
        _ kind: NodeSessionRequest.Kind, _ post: LocalRequest.ForwardedPost,
        for connection: SocketToken, body: String, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        self.forward(
            OutboundRequest(
                kind, to: post.address, by: post.identity, for: connection, body: body, at: now),
            post.number, at: now, into: &directives)
    }

    mutating func forward(
        _ request: OutboundRequest, _ number: UInt64, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        self.outboundRequests[number] = request
        self.sendRequest(number, at: now, into: &directives)
    }

    private mutating func sendRequest(
        _ number: UInt64, at now: Int64, into directives: inout EngineDirectives
    ) {
        guard let request = self.outboundRequests[number] else { return }
        self.outboundRequests[number]?.retryAt = now + request.retryInterval
        self.send(
            request.kind, number, to: request.address, by: request.identity, body: request.body,
            proof: request.proof, into: &directives)
    }

    private func send(
        _ kind: NodeSessionRequest.Kind, _ number: UInt64, to address: EngineSessionAddress,
        by identity: EngineRequestIdentity, body: String, proof: EnginePollProof = .nextPoll,
        into directives: inout EngineDirectives
    ) {
        let request = NodeSessionRequest(
            kind, number, from: UInt16(self.loop), for: address.session, by: identity,
            body: body[...], proof: proof)
        directives.append(.sendToNode(address.node, loop: address.loop, request.text))
    }

    /// Reports the end of a request to the session's node.
    ///
    /// - Parameter number: the number of that request.
    func notify(
        _ kind: NodeSessionRequest.Kind, of number: UInt64, at address: EngineSessionAddress,
        by identity: EngineRequestIdentity = .noToken, into directives: inout EngineDirectives
    ) {
        self.send(
            kind, 0, to: address, by: identity, body: String(number), into: &directives)
    }

    /// Forgets a request whose connection has closed.
    mutating func cancelOutboundRequest(
        _ number: UInt64, into directives: inout EngineDirectives
    ) {
        guard let request = self.outboundRequests.removeValue(forKey: number),
            request.kind == .poll
        else { return }
        self.notify(.pollAborted, of: number, at: request.address, into: &directives)
    }

    // MARK: Replies

    mutating func receiveReply(
        _ reply: NodeSessionReply, to number: UInt64, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        guard let request = self.outboundRequests.removeValue(forKey: number) else {
            return self.closeOutboundProbe(number, reply, into: &directives)
        }
        if self.requests[request.requester] != nil {
            self.receiveReply(reply, to: request, number, into: &directives)
        } else if case .outbound(let probe)? = self.probes[request.requester] {
            self.receiveTakeOverReply(reply, request.requester, probe, into: &directives)
        }
    }

    /// The reply to the request of an HTTP connection.
    private mutating func receiveReply(
        _ reply: NodeSessionReply, to request: OutboundRequest, _ number: UInt64,
        into directives: inout EngineDirectives
    ) {
        let connection = request.requester
        if request.kind == .probe {
            switch reply {
            case .accepted:
                return self.beginOutboundProbe(request, number, into: &directives)
            case .closed:
                self.beginOutboundProbe(request, number, into: &directives)
                return self.closeOutboundProbe(number, reply, into: &directives)
            case .payload, .refused, .transferred: break
            }
        }
        switch reply {
        case .payload(let text):
            self.respond(to: connection, .payload(Array(text.utf8)), into: &directives)
            if request.proof == .report {
                self.notify(.pollArrived, of: number, at: request.address, into: &directives)
            }
        case .accepted:
            self.respond(to: connection, .accepted, into: &directives)
        case .refused(let refusal, let closes):
            self.respond(to: connection, .refused(refusal), closes: closes, into: &directives)
        case .transferred, .closed:
            self.respond(to: connection, .refused(.unknownSession), into: &directives)
        }
    }

    /// The reply to the request of a WebSocket to take over.
    private mutating func receiveTakeOverReply(
        _ reply: NodeSessionReply, _ connection: SocketToken, _ probe: OutboundProbe,
        into directives: inout EngineDirectives
    ) {
        switch reply {
        case .transferred(let text):
            guard let transfer = TransferredSession(text) else { return }
            directives.append(.adopt(connection, transfer))
        case .closed(let code, let reason):
            directives.append(.closeSocket(connection, code: code, reason: String(reason)))
        case .payload, .accepted, .refused:
            directives.append(Self.sessionOver(connection))
        }
    }

    static func sessionOver(_ connection: SocketToken) -> EngineDirective {
        .closeSocket(connection, code: 1008, reason: "the session is over")
    }

    // MARK: WebSockets that take over a session

    private mutating func beginOutboundProbe(
        _ request: OutboundRequest, _ number: UInt64, into directives: inout EngineDirectives
    ) {
        self.requests[request.requester] = nil
        self.probes[request.requester] = .outbound(
            OutboundProbe(number: number, address: request.address))
        self.outboundProbes[number] = request.requester
        // The session's node closes a WebSocket that takes too long. This longer timeout applies if
        // that node is gone.
        directives.append(
            .acceptWebSocket(request.requester, timeout: self.settings.upgradeTimeout + 1000))
    }

    /// Closes a WebSocket that was to take over a session, because the session has closed it.
    private func closeOutboundProbe(
        _ number: UInt64, _ reply: NodeSessionReply, into directives: inout EngineDirectives
    ) {
        guard case .closed(let code, let reason) = reply,
            let connection = self.outboundProbes[number]
        else { return }
        directives.append(.closeSocket(connection, code: code, reason: String(reason)))
    }
}
