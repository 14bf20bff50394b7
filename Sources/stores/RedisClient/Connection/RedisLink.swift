internal import EventLoop
internal import TLS

/// Combines a `RedisSession` with its socket: performs the session's I/O and reports the results
/// back to it.
///
/// A value in the state of a mode of `RedisNetwork`. It calls no code outside; events come out of
/// `next(now:)`.
struct RedisLink {
    /// A request to resolve an endpoint and pass the addresses to `connect`.
    struct ConnectAttempt {
        let linkID: Int
        let number: Int
        let endpoint: RedisEndpoint
    }

    private enum Phase {
        case unconnected
        /// A DNS lookup is running; `attemptNumber` tells attempts apart.
        case resolving
        case connecting(remaining: ArraySlice<SocketAddress>)
        case tlsHandshake
        case open
    }

    /// Identifies the link to its handler; never reused.
    let id: Int
    private let loop: EventLoop
    private let settings: RedisSettings
    /// Nil while the server's address is unknown.
    private(set) var endpoint: RedisEndpoint?
    var session: RedisSession
    private var phase = Phase.unconnected
    private var attemptNumber = 0
    private(set) var token: SocketToken?
    private var transport: OutgoingTransport?
    /// The peer accepts no more bytes; bytes that it sent earlier may still be readable.
    private var isWriteClosed = false
    /// The bytes of the last read; `unparsedRange` is the part that the session has not received.
    private var readBuffer: [UInt8]
    private var unparsedRange = 0..<0

    /// The reader moves the bytes behind a reply after every kilobyte it reads, so small chunks are
    /// cheaper than the whole buffer.
    private static let parseChunkBytes = 16 << 10

    init(
        _ settings: RedisSettings, session: RedisSession, to endpoint: RedisEndpoint?,
        id: Int = 0, readByteCount: Int = 64 << 10,
        on loop: EventLoop
    ) {
        self.id = id
        self.settings = settings
        self.endpoint = endpoint
        self.session = session
        self.readBuffer = [UInt8](repeating: 0, count: readByteCount)
        self.loop = loop
        if let endpoint { self.session.serverName = endpoint.description }
    }

    /// Replaces the server's address and closes the current connection for that reason.
    ///
    /// - Parameter immediately: the next attempt starts now instead of after the retry delay.
    mutating func changeEndpoint(
        to endpoint: RedisEndpoint, because outage: RedisOutage, now: MonotonicTime,
        immediately atOnce: Bool = true
    ) {
        self.endpoint = endpoint
        self.session.serverName = endpoint.description
        self.session.disconnect(outage, now: now)
        if atOnce { self.session.retryImmediately(now: now) }
    }

    // MARK: Connecting

    /// Must be called at every tick. Appends a connection attempt when one is due.
    mutating func tick(now: MonotonicTime, into attempts: inout [ConnectAttempt]) {
        guard self.session.tick(now: now, mayConnect: self.endpoint != nil),
            let endpoint = self.endpoint
        else { return }
        self.attemptNumber += 1
        self.phase = .resolving
        attempts.append(
            ConnectAttempt(linkID: self.id, number: self.attemptNumber, endpoint: endpoint))
    }

    /// Passes the resolved addresses of an attempt, or the reason why there are none. Attempts of
    /// other links are ignored.
    mutating func connect(
        _ attempt: ConnectAttempt, to addresses: Result<[SocketAddress], SocketError>,
        for handler: any EventLoopHandler, now: MonotonicTime
    ) {
        // A newer attempt may have started meanwhile, or the link may be closed.
        guard attempt.linkID == self.id, attempt.number == self.attemptNumber,
            case .resolving = self.phase
        else { return }
        switch addresses {
        case .success(let addresses):
            self.tryNextAddress(of: addresses[...], after: .unreachable, for: handler, now: now)
        case .failure(let error):
            self.session.disconnect(.socket(error, server: self.session.serverName), now: now)
        }
    }

    private mutating func tryNextAddress(
        of addresses: ArraySlice<SocketAddress>, after failure: SocketError,
        for handler: any EventLoopHandler, now: MonotonicTime
    ) {
        self.closeSocket()
        guard let address = addresses.first else {
            return self.session.disconnect(
                .socket(failure, server: self.session.serverName), now: now)
        }
        do throws(SocketError) {
            let socket = try Socket.connect(to: address)
            socket.setNoDelay()
            do throws(SocketError) {
                self.token = try self.loop.register(
                    socket.descriptor, read: true, write: true, for: handler)
            } catch {
                socket.close()
                throw error
            }
            self.transport = OutgoingTransport(socket)
            self.phase = .connecting(remaining: addresses.dropFirst())
        } catch {
            self.tryNextAddress(of: addresses.dropFirst(), after: error, for: handler, now: now)
        }
    }

    private mutating func socketConnected(now: MonotonicTime) {
        if let tls = self.settings.tls, let socket = self.transport?.socket {
            do throws(TLSError) {
                self.transport = try OutgoingTransport(socket, to: self.endpoint?.host ?? "", tls)
            } catch {
                return self.session.disconnect(.tls(error), now: now)
            }
        }
        self.phase = .tlsHandshake
        if self.settings.tls != nil { self.session.startedTLS() }
        self.continueTLSHandshake(now: now)
    }

    private mutating func continueTLSHandshake(now: MonotonicTime) {
        do throws(TLSError) {
            guard try self.transport?.handshake() == true else { return self.updateInterest() }
        } catch {
            return self.session.disconnect(.tls(error), now: now)
        }
        self.phase = .open
        self.session.opened(now: now)
    }

    // MARK: Bytes

    /// Handles socket readiness. The caller must then consume all events, and call this again if it
    /// returned true.
    mutating func socketReady(
        _ token: SocketToken, readable: Bool, writable: Bool, for handler: any EventLoopHandler,
        now: MonotonicTime
    ) -> Bool {
        guard token == self.token else { return false }
        switch self.phase {
        case .unconnected, .resolving:
            return false
        case .connecting(let remaining):
            if let error = self.transport?.socket.connectError {
                self.tryNextAddress(of: remaining, after: error, for: handler, now: now)
            } else if writable {
                self.socketConnected(now: now)
            }
            return false
        case .tlsHandshake:
            self.continueTLSHandshake(now: now)
            // The last packet of the TLS handshake may contain the first reply.
            return self.transport?.readsMustDrain == true && self.isOpen
        case .open:
            if writable || self.transport?.wantsWrite == true { self.flush(now: now) }
            return readable && self.read(now: now)
        }
    }

    private var isOpen: Bool { if case .open = self.phase { true } else { false } }

    /// Reads once.
    ///
    /// - Returns: whether buffered bytes remain for which the socket reports no readiness.
    private mutating func read(now: MonotonicTime) -> Bool {
        guard
            let transfer = self.readBuffer.withUnsafeMutableBytes({ self.transport?.read(into: $0) }
            )
        else { return false }
        switch transfer {
        case .bytes(let count):
            self.unparsedRange = 0..<count
            return self.transport?.readsMustDrain == true
        case .wouldBlock:
            self.updateInterest()
        case .endOfStream:
            self.session.disconnect(.ended, now: now)
        case .failed(let failure):
            self.session.disconnect(RedisOutage(failure), now: now)
        }
        return false
    }

    /// Writes as many bytes as the socket accepts. Called at the end of the turn, so that all
    /// commands of a turn leave in one write.
    mutating func flush(now: MonotonicTime) {
        guard self.isOpen, self.wantsToSend, var transport = self.transport else { return }
        defer { self.updateInterest() }
        while self.wantsToSend {
            let transfer = self.session.withUnsent { transport.write($0) }
            self.transport = transport
            switch transfer {
            case .bytes(let count): self.session.didSend(count)
            case .wouldBlock: return
            case .endOfStream: return self.writeFailed(.ended, transport, now: now)
            case .failed(let failure):
                return self.writeFailed(RedisOutage(failure), transport, now: now)
            }
        }
    }

    /// Earlier replies and then the end of the stream may still be readable; but OpenSSL reads
    /// nothing after a failure.
    private mutating func writeFailed(
        _ outage: RedisOutage, _ transport: OutgoingTransport, now: MonotonicTime
    ) {
        self.isWriteClosed = true
        if transport.readsMustDrain { self.session.disconnect(outage, now: now) }
    }

    private var wantsToSend: Bool { self.session.hasUnsent && !self.isWriteClosed }

    private mutating func updateInterest() {
        guard let token = self.token else { return }
        self.loop.setInterest(
            token, read: true, write: self.wantsToSend || self.transport?.wantsWrite == true)
    }

    /// The next event; nil when there are no more.
    @inline(__always)
    mutating func next(now: MonotonicTime) -> RedisSession.Event? {
        while true {
            if let event = self.session.next(now: now) {
                if case .unavailable = event { self.closeSocket() }
                return event
            }
            if self.unparsedRange.isEmpty { return nil }
            let piece = self.unparsedRange.prefix(Self.parseChunkBytes)
            self.unparsedRange = piece.endIndex..<self.unparsedRange.endIndex
            self.readBuffer.withUnsafeBytes {
                self.session.receive(UnsafeRawBufferPointer(rebasing: $0[piece]), now: now)
            }
        }
    }

    mutating func close() {
        self.session.close()
        self.closeSocket()
    }

    private mutating func closeSocket() {
        if let token = self.token { self.loop.close(token) }
        self.token = nil
        self.transport = nil
        self.phase = .unconnected
        self.isWriteClosed = false
        self.unparsedRange = 0..<0
    }
}
