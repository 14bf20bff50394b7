internal import EventLoop
internal import TLS

/// A session with its socket: does what the session says, and tells it what came of that.
///
/// A value in the state of whoever is the loop's guest. Nothing here calls anybody: what happened comes out of `next(now:)`.
struct RedisLink {
    private enum Phase {
        case unconnected
        /// A name is looked up; the number tells attempts apart.
        case resolving
        case connecting(remaining: ArraySlice<SocketAddress>)
        case tlsHandshake
        case open
    }

    /// Names the link to its guest, and is never given to another.
    let id: Int
    private let loop: EventLoop
    private let settings: RedisSettings
    /// Nil while nobody knows where the server is.
    private(set) var endpoint: RedisEndpoint?
    var session: RedisSession
    private var phase = Phase.unconnected
    private var attemptNumber = 0
    private(set) var token: SocketToken?
    private var transport: OutgoingTransport?
    /// The other end takes nothing any more; it may still have said something.
    private var isWriteClosed = false
    /// What was read last, and which of it the session has not had.
    private var readBuffer: [UInt8]
    private var unparsedRange = 0..<0

    /// The reader moves what is behind a reply whenever a kilobyte is read, so that small pieces are cheaper than the whole.
    private static let parseChunkBytes = 16 << 10

    init(
        _ settings: RedisSettings, session: RedisSession, to place: RedisEndpoint?,
        id number: Int = 0, readByteCount: Int = 64 << 10,
        on loop: EventLoop
    ) {
        self.id = number
        self.settings = settings
        self.endpoint = place
        self.session = session
        self.readBuffer = [UInt8](repeating: 0, count: readByteCount)
        self.loop = loop
        if let place { self.session.serverName = place.description }
    }

    /// The server is elsewhere from here on. Whatever connection there is, is lost for that reason.
    ///
    /// - Parameter atOnce: the next attempt is due, and not only after the wait that attempts have between them.
    mutating func changeEndpoint(
        to place: RedisEndpoint, because outage: RedisOutage, now: MonotonicTime,
        immediately atOnce: Bool = true
    ) {
        self.endpoint = place
        self.session.serverName = place.description
        self.session.disconnect(outage, now: now)
        if atOnce { self.session.retryImmediately(now: now) }
    }

    // MARK: Connecting

    /// To be called at every tick. An attempt to connect begins with the number that this answers: its `connect` is to be called, with the
    /// addresses of `place`.
    mutating func tick(now: MonotonicTime) -> Int? {
        guard self.session.tick(now: now, mayConnect: self.endpoint != nil) else { return nil }
        self.attemptNumber += 1
        self.phase = .resolving
        return self.attemptNumber
    }

    /// The addresses for an attempt, or why there are none.
    mutating func connect(
        _ attempt: Int, to addresses: Result<[SocketAddress], SocketError>,
        for guest: any EventLoopHandler, now: MonotonicTime
    ) {
        // Another attempt may have begun since, or everything be over.
        guard attempt == self.attemptNumber, case .resolving = self.phase else { return }
        switch addresses {
        case .success(let addresses):
            self.tryNextAddress(of: addresses[...], after: .unreachable, for: guest, now: now)
        case .failure(let error):
            self.session.disconnect(.socket(error, server: self.session.serverName), now: now)
        }
    }

    private mutating func tryNextAddress(
        of addresses: ArraySlice<SocketAddress>, after failure: SocketError,
        for guest: any EventLoopHandler, now: MonotonicTime
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
                    socket.descriptor, read: true, write: true, for: guest)
            } catch {
                socket.close()
                throw error
            }
            self.transport = OutgoingTransport(socket)
            self.phase = .connecting(remaining: addresses.dropFirst())
        } catch {
            self.tryNextAddress(of: addresses.dropFirst(), after: error, for: guest, now: now)
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

    /// The socket is ready. All events are to be taken out afterwards, and when this answers true it is to be called again.
    mutating func socketReady(
        _ token: SocketToken, readable: Bool, writable: Bool, for guest: any EventLoopHandler,
        now: MonotonicTime
    ) -> Bool {
        guard token == self.token else { return false }
        switch self.phase {
        case .unconnected, .resolving:
            return false
        case .connecting(let rest):
            if let error = self.transport?.socket.connectError {
                self.tryNextAddress(of: rest, after: error, for: guest, now: now)
            } else if writable {
                self.socketConnected(now: now)
            }
            return false
        case .tlsHandshake:
            self.continueTLSHandshake(now: now)
            // The last packet of a handshake may bring the first reply with it.
            return self.transport?.readsMustDrain == true && self.isOpen
        case .open:
            if writable || self.transport?.wantsWrite == true { self.flush(now: now) }
            return readable && self.read(now: now)
        }
    }

    private var isOpen: Bool { if case .open = self.phase { true } else { false } }

    /// Reads once; answers whether there may be more that wakes nobody.
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

    /// Gives the socket what it takes. To be called when the turn ends: what a turn brings leaves in one write.
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

    /// What was answered before is still there to be read, and behind it the end; but OpenSSL reads nothing after a failure.
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

    /// What there is to be told next; nil when that is all.
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
