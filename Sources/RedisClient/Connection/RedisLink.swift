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
        case connecting(rest: ArraySlice<SocketAddress>)
        case securing
        case open
    }

    /// Names the link to its guest, and is never given to another.
    let number: Int
    private let loop: EventLoop
    private let settings: RedisSettings
    /// Nil while nobody knows where the server is.
    private(set) var place: RedisPlace?
    var session: RedisSession
    private var phase = Phase.unconnected
    private var attempt = 0
    private(set) var token: SocketToken?
    private var transport: OutgoingTransport?
    /// The other end takes nothing any more; it may still have said something.
    private var isDeaf = false
    /// What was read last, and which of it the session has not had.
    private var room: [UInt8]
    private var unfed = 0..<0

    /// The reader moves what is behind a reply whenever a kilobyte is read, so that small pieces are cheaper than the whole.
    private static let feedByteCount = 16 << 10

    init(
        _ settings: RedisSettings, session: RedisSession, to place: RedisPlace?, number: Int = 0, readByteCount: Int = 64 << 10,
        on loop: EventLoop
    ) {
        self.number = number
        self.settings = settings
        self.place = place
        self.session = session
        self.room = [UInt8](repeating: 0, count: readByteCount)
        self.loop = loop
        if let place { self.session.name = place.description }
    }

    /// The server is elsewhere from here on. Whatever connection there is, is lost for that reason.
    ///
    /// - Parameter atOnce: the next attempt is due, and not only after the wait that attempts have between them.
    mutating func move(to place: RedisPlace, because outage: RedisOutage, now: MonotonicTime, atOnce: Bool = true) {
        self.place = place
        self.session.name = place.description
        self.session.lose(outage, now: now)
        if atOnce { self.session.hurry(now: now) }
    }

    // MARK: Connecting

    /// To be called at every tick. An attempt to connect begins with the number that this answers: its `connect` is to be called, with the
    /// addresses of `place`.
    mutating func tick(now: MonotonicTime) -> Int? {
        guard self.session.tick(now: now, mayConnect: self.place != nil) else { return nil }
        self.attempt += 1
        self.phase = .resolving
        return self.attempt
    }

    /// The addresses for an attempt, or why there are none.
    mutating func connect(
        _ attempt: Int, to addresses: Result<[SocketAddress], SocketError>, for guest: any EventLoopHandler, now: MonotonicTime
    ) {
        // Another attempt may have begun since, or everything be over.
        guard attempt == self.attempt, case .resolving = self.phase else { return }
        switch addresses {
        case .success(let addresses): self.tryNext(of: addresses[...], after: .unreachable, for: guest, now: now)
        case .failure(let error): self.session.lose(.socket(error, place: self.session.name), now: now)
        }
    }

    private mutating func tryNext(
        of addresses: ArraySlice<SocketAddress>, after failure: SocketError, for guest: any EventLoopHandler, now: MonotonicTime
    ) {
        self.dropSocket()
        guard let address = addresses.first else {
            return self.session.lose(.socket(failure, place: self.session.name), now: now)
        }
        do throws(SocketError) {
            let socket = try Socket.connect(to: address)
            socket.setNoDelay()
            do throws(SocketError) {
                self.token = try self.loop.register(socket.descriptor, read: true, write: true, for: guest)
            } catch {
                socket.close()
                throw error
            }
            self.transport = OutgoingTransport(socket)
            self.phase = .connecting(rest: addresses.dropFirst())
        } catch {
            self.tryNext(of: addresses.dropFirst(), after: error, for: guest, now: now)
        }
    }

    private mutating func secure(now: MonotonicTime) {
        if let tls = self.settings.tls, let socket = self.transport?.socket {
            do throws(TLSError) {
                self.transport = try OutgoingTransport(socket, to: self.place?.host ?? "", tls)
            } catch {
                return self.session.lose(.tls(error), now: now)
            }
        }
        self.phase = .securing
        if self.settings.tls != nil { self.session.securing() }
        self.shakeHands(now: now)
    }

    private mutating func shakeHands(now: MonotonicTime) {
        do throws(TLSError) {
            guard try self.transport?.handshake() == true else { return self.updateInterest() }
        } catch {
            return self.session.lose(.tls(error), now: now)
        }
        self.phase = .open
        self.session.opened(now: now)
    }

    // MARK: Bytes

    /// The socket is ready. All events are to be taken out afterwards, and when this answers true it is to be called again.
    mutating func socketReady(
        _ token: SocketToken, readable: Bool, writable: Bool, for guest: any EventLoopHandler, now: MonotonicTime
    ) -> Bool {
        guard token == self.token else { return false }
        switch self.phase {
        case .unconnected, .resolving:
            return false
        case .connecting(let rest):
            if let error = self.transport?.socket.connectError {
                self.tryNext(of: rest, after: error, for: guest, now: now)
            } else if writable {
                self.secure(now: now)
            }
            return false
        case .securing:
            self.shakeHands(now: now)
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
        guard let transfer = self.room.withUnsafeMutableBytes({ self.transport?.read(into: $0) }) else { return false }
        switch transfer {
        case .moved(let count):
            self.unfed = 0..<count
            return self.transport?.readsMustDrain == true
        case .wouldBlock:
            self.updateInterest()
        case .ended:
            self.session.lose(.ended, now: now)
        case .failed(let failure):
            self.session.lose(RedisOutage(failure), now: now)
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
            case .moved(let count): self.session.didSend(count)
            case .wouldBlock: return
            case .ended: return self.goDeaf(.ended, transport, now: now)
            case .failed(let failure): return self.goDeaf(RedisOutage(failure), transport, now: now)
            }
        }
    }

    /// What was answered before is still there to be read, and behind it the end; but OpenSSL reads nothing after a failure.
    private mutating func goDeaf(_ outage: RedisOutage, _ transport: OutgoingTransport, now: MonotonicTime) {
        self.isDeaf = true
        if transport.readsMustDrain { self.session.lose(outage, now: now) }
    }

    private var wantsToSend: Bool { self.session.hasUnsent && !self.isDeaf }

    private mutating func updateInterest() {
        guard let token = self.token else { return }
        self.loop.setInterest(token, read: true, write: self.wantsToSend || self.transport?.wantsWrite == true)
    }

    /// What there is to be told next; nil when that is all.
    @inline(__always)
    mutating func next(now: MonotonicTime) -> RedisSession.Event? {
        while true {
            if let event = self.session.next(now: now) {
                if case .away = event { self.dropSocket() }
                return event
            }
            if self.unfed.isEmpty { return nil }
            let piece = self.unfed.prefix(Self.feedByteCount)
            self.unfed = piece.endIndex..<self.unfed.endIndex
            self.room.withUnsafeBytes { self.session.receive(UnsafeRawBufferPointer(rebasing: $0[piece]), now: now) }
        }
    }

    mutating func close() {
        self.session.close()
        self.dropSocket()
    }

    private mutating func dropSocket() {
        if let token = self.token { self.loop.close(token) }
        self.token = nil
        self.transport = nil
        self.phase = .unconnected
        self.isDeaf = false
        self.unfed = 0..<0
    }
}
