import Bytes
import ConfabClient
import EventLoop
import HTTPWire
import TLS
import Telemetry

extension LoadRun {
    /// Starts handshakes, up to the plan's concurrency.
    mutating func startConnections() {
        guard self.schedule.phase == .connecting else { return }
        while self.startedCount < self.plan.connections, self.openHandshakes < self.plan.concurrency
        {
            let member = self.startedCount
            self.startedCount += 1
            self.openHandshakes += 1
            self.connections[member].connectedAt = .exact
            let address = self.address(of: member)
            do throws(SocketError) {
                let socket = try LoopbackSource.connect(to: address, member: member)
                socket.setNoDelay()
                try self.register(socket, member)
            } catch {
                self.closeFailed(member, .socket(error, endpoint: address.text))
            }
        }
    }

    private func address(of member: Int) -> SocketAddress {
        self.addresses[self.plan.serverIndex(of: member, in: Int(self.groupOfMember[member]))]
    }

    private mutating func register(_ socket: Socket, _ member: Int) throws(SocketError) {
        let token: SocketToken
        do throws(SocketError) {
            token = try self.loop.register(socket.descriptor, read: true, write: true)
        } catch {
            socket.close()
            throw error
        }
        let slot = Int(token.slot)
        if slot >= self.memberOfSlot.count {
            self.memberOfSlot.append(
                contentsOf: repeatElement(0, count: slot + 1 - self.memberOfSlot.count))
        }
        self.memberOfSlot[slot] = UInt32(member)
        self.connections[member].token = token
        self.connections[member].transport = OutgoingTransport(socket)
        self.connections[member].state = .connecting
    }

    mutating func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        let member = Int(self.memberOfSlot[Int(token.slot)])
        guard self.connections[member].token == token else { return }
        switch self.connections[member].state {
        case .open:
            if readable { self.read(member) }
            if writable { self.flush(member) }
        case .upgrading, .joining:
            self.read(member)
            if writable { self.flush(member) }
        case .connecting:
            if let error = self.connections[member].transport?.socket.connectError {
                self.closeFailed(member, .socket(error, endpoint: self.address(of: member).text))
            } else if writable {
                self.startTLS(member)
            }
        case .tlsHandshake:
            self.performHandshake(member)
        case .notStarted, .closed:
            break
        }
    }

    private mutating func startTLS(_ member: Int) {
        let url = self.plan.urls[
            self.plan.serverIndex(of: member, in: Int(self.groupOfMember[member]))]
        if url.isSecure, let tls = self.tls, let socket = self.connections[member].transport?.socket
        {
            do throws(TLSError) {
                self.connections[member].transport = try OutgoingTransport(
                    socket, to: url.host, tls)
            } catch {
                return self.closeFailed(member, .tls(error))
            }
        }
        self.connections[member].state = .tlsHandshake
        self.performHandshake(member)
    }

    private mutating func performHandshake(_ member: Int) {
        do throws(TLSError) {
            guard try self.connections[member].transport?.handshake() == true else {
                return self.updateInterest(member)
            }
        } catch {
            return self.closeFailed(member, .tls(error))
        }
        if self.usesLongPolling(member) { return self.beginLongPolling(member) }
        let url = self.dialect.url(member: member, group: Int(self.groupOfMember[member]))
        let handshake = ClientHandshake(to: url, using: &self.random)
        self.handshakes[member] = handshake
        self.connections[member].state = .upgrading
        self.frame.removeAll()
        handshake.appendRequest(to: &self.frame)
        self.sendFrame(to: member)
        if self.connections[member].state == .upgrading { self.updateInterest(member) }
    }

    /// Reads the handshake's response. Returns the number of bytes consumed, and whether the
    /// WebSocket is open; nil after an error.
    mutating func receiveResponse(_ member: Int, _ bytes: UnsafeRawBufferPointer) -> (
        consumed: Int, isOpen: Bool
    )? {
        guard var handshake = self.handshakes.removeValue(forKey: member) else { return nil }
        do throws(ClientError) {
            switch try handshake.receive(bytes.bytes) {
            case .more(let consumed):
                self.handshakes[member] = handshake
                return (consumed, false)
            case .open(let consumed):
                let group = Int(self.groupOfMember[member])
                if self.dialect.joinsByConnecting(member, group: group) {
                    self.joined(member)
                } else {
                    self.connections[member].state = .joining
                    self.perform(member, self.dialect.firstJoinStep(of: member, group: group))
                }
                return (consumed, true)
            }
        } catch {
            self.closeFailed(member, error)
            return nil
        }
    }

    private mutating func joined(_ member: Int) {
        self.connections[member].state = .open
        self.openHandshakes -= 1
        self.openCount += 1
        let now = MonotonicTime.exact
        self.record.connectLatency.record(now.since(self.connections[member].connectedAt))
        self.record.lastConnect = now
    }

    mutating func perform(_ member: Int, _ step: LoadJoinStep?) {
        switch step {
        case .send(let text):
            if self.connections[member].longPolling != nil {
                // It is sent with the next request.
                self.connections[member].longPolling?.enqueue(text)
                return
            }
            self.frame.removeAll()
            Array(text.utf8).withUnsafeBytes {
                self.frame.append(webSocketFrame: .text, payload: $0, mask: self.random.mask())
            }
            self.sendFrame(to: member)
        case .joined where self.connections[member].state == .joining: self.joined(member)
        case .joined, nil: break
        }
    }

    /// Closes a connection that has failed, and counts the failure.
    mutating func closeFailed(_ member: Int, _ error: ClientError) {
        let step = self.connections[member].state
        guard step != .closed else { return }
        self.connections[member].state = .closed
        if step == .open {
            self.openCount -= 1
            self.lostCount += 1
            // The Conversations protocol rejects clients with a close code after the handshake.
            if case .closed(let code?, _) = error, code.rawValue == 4003 || code.rawValue == 4004 {
                self.failures.add(.refused, example: error.description)
            } else {
                self.failures.add(.closedEarly, example: error.description)
            }
        } else {
            self.openHandshakes -= 1
            self.refusedCount += 1
            self.handshakes[member] = nil
            self.failures.add(.refused, example: error.description)
        }
        self.connections[member].transport = nil
        self.connections[member].unread = []
        self.loop.close(self.connections[member].token)
    }
}
