internal import Bytes
internal import EngineIO
public import EventLoop

/// WebSockets: those of sessions, and those that are to take over a session.
extension EngineServer {
    private static let probeReply = SharedPacket(SharedFrame(Array("3probe".utf8)))

    /// A text message arrived.
    ///
    /// - Parameter socket: a WebSocket that `acceptWebSocket` has made, or the connection of a
    ///   session with a socket. A message of a session that begins with
    ///   `EnginePacketKind.message` should go to the dialect directly, without this call.
    public mutating func received(
        _ text: [UInt8], on socket: SocketToken, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        switch self.probes[socket] {
        case .outbound(let probe):
            self.advance(probe, socket, text, at: now, into: &directives)
        case .local(let session):
            self.update(session, input: text, into: &directives) {
                $0.received(text.span.bytes, on: EngineSocketID(socket), at: now, into: &$1)
            }
        case nil:
            guard let id = self.sessions[socket]?.socket.id else { return }
            self.update(socket, input: text, into: &directives) {
                $0.received(text.span.bytes, on: id, at: now, into: &$1)
            }
        }
    }

    /// A binary message arrived on a WebSocket that is to take over a session.
    ///
    /// - Parameter socket: as for `received`. Binary messages of a session go to the dialect.
    public mutating func receivedBinary(
        on socket: SocketToken, into directives: inout EngineDirectives
    ) {
        switch self.probes[socket] {
        case .outbound(let probe):
            self.refusePacket(of: probe, socket, into: &directives)
        case .local(let session):
            self.update(session, into: &directives) {
                $0.receivedBinary(on: EngineSocketID(socket), into: &$1)
            }
        case nil: break
        }
    }

    /// Expects `2probe`, and then `5`.
    private mutating func advance(
        _ probe: OutboundProbe, _ socket: SocketToken, _ text: [UInt8], at now: Int64,
        into directives: inout EngineDirectives
    ) {
        var probe = probe
        if !probe.hasReceivedProbe, text == Array("2probe".utf8) {
            probe.hasReceivedProbe = true
            self.probes[socket] = .outbound(probe)
            directives.append(.sendPacket(Self.probeReply, socket))
        } else if probe.hasReceivedProbe, text == Array("5".utf8) {
            directives.append(.pauseReading(socket))
            let number = self.makeNumber()
            probe.takeOver = number
            self.probes[socket] = .outbound(probe)
            self.forward(
                OutboundRequest(
                    .takeOver, to: probe.address, by: .noToken, for: socket,
                    body: String(probe.number), at: now),
                number, at: now, into: &directives)
        } else {
            self.refusePacket(of: probe, socket, into: &directives)
        }
    }

    private func refusePacket(
        of probe: OutboundProbe, _ socket: SocketToken, into directives: inout EngineDirectives
    ) {
        let expected = probe.hasReceivedProbe ? "5" : "2probe"
        directives.append(
            .closeSocket(socket, code: 1002, reason: "the packet \(expected) was expected"))
    }

    // MARK: Sessions that get a socket

    /// The socket of a WebSocket that took over is attached to the session's connection. The
    /// WebSocket's own connection is gone, and was not reported as dropped.
    public mutating func socketAttached(_ session: SocketToken) {
        guard case .attaching(let socket)? = self.sessions[session]?.socket else { return }
        self.sessions[session]?.socket = .attached(socket)
        self.probes[SocketToken(socket)] = nil
    }

    /// The dialect continues a session of another node (`EngineDirective.adopt`). From here on,
    /// the WebSocket is the connection of that session.
    public mutating func adopted(_ socket: SocketToken, at now: Int64) {
        guard case .outbound(let probe)? = self.probes[socket] else { return }
        self.probes[socket] = nil
        self.outboundProbes[probe.number] = nil
        let id = EngineSocketID(socket)
        let engine = EngineSession(probe.address.session, self.settings, movedTo: id, at: now)
        self.insert(TransportSession(engine, socket: .attached(id)), socket)
    }

    /// The dialect cannot continue the session of another node.
    public func adoptionFailed(_ socket: SocketToken, into directives: inout EngineDirectives) {
        directives.append(Self.sessionOver(socket))
    }

    // MARK: Closed connections

    /// A connection has closed or was dropped: one with a pending request, a WebSocket that is to
    /// take over a session, or the connection of a session. Other connections may be reported too.
    public mutating func connectionDropped(
        _ connection: SocketToken, at now: Int64, into directives: inout EngineDirectives
    ) {
        if let request = self.requests.removeValue(forKey: connection) {
            self.requestAborted(request, connection, into: &directives)
        }
        switch self.probes.removeValue(forKey: connection) {
        case .outbound(let probe):
            if let number = probe.takeOver { self.outboundRequests[number] = nil }
            self.outboundProbes[probe.number] = nil
            self.notify(.probeClosed, of: probe.number, at: probe.address, into: &directives)
        case .local(let session):
            self.update(session, into: &directives) {
                $0.socketClosed(EngineSocketID(connection), into: &$1)
            }
        case nil: break
        }
        if let session = self.sessions.removeValue(forKey: connection) {
            self.sessionDropped(session, connection, at: now, into: &directives)
        }
    }

    private mutating func requestAborted(
        _ request: LocalRequest, _ connection: SocketToken, into directives: inout EngineDirectives
    ) {
        switch request.state {
        case .poll(let session):
            self.update(session, into: &directives) {
                $0.pollAborted(EngineRequestID(connection), into: &$1)
            }
        case .post(let session):
            self.update(session, into: &directives) {
                $0.postAborted(EngineRequestID(connection), into: &$1)
            }
        case .receivingPost(let post):
            self.notify(
                .postAborted, of: post.number, at: post.address, by: post.identity,
                into: &directives)
            self.cancelOutboundRequest(post.number, into: &directives)
        case .forwarded(let number):
            self.cancelOutboundRequest(number, into: &directives)
        }
    }

    /// Answers the pending requests of a session whose connection was dropped, and retains its
    /// replies.
    private mutating func sessionDropped(
        _ session: TransportSession, _ connection: SocketToken, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        var session = session
        self.sessionTokens[session.engine.id] = nil
        if let socket = session.socket.id { self.probes[SocketToken(socket)] = nil }
        var steps = EngineSteps()
        session.engine.close(
            code: 1001, reason: "the connection has ended", at: now, into: &steps)
        for step in steps.list {
            guard case .answer(let request, let answer) = step else { continue }
            let response = EngineResponse(answer, steps)
            if let inbound = session.inbound[request.rawValue] {
                let text = response.nodeReply(to: request.rawValue, closes: false)
                session.inbound[request.rawValue]?.reply = text
                directives.append(.sendToNode(inbound.node, loop: inbound.loop, text))
            } else {
                self.answer(request, response, of: connection, into: &directives)
            }
        }
        self.retainReplies(of: session, at: now)
    }
}
