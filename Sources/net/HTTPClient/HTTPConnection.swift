public import EventLoop
public import HTTPWire
public import TLS

/// The end of a request on an `HTTPConnection`.
public enum HTTPConnectionResult<Answer> {
    case answer(Answer)
    /// No connection could be established.
    case unreachable(reason: String)
    /// The connection was lost.
    case broken(reason: String)
    case timeout
    /// The server had closed the kept connection before it got the request.
    case stale
}

/// A connection of a loop to a server, which carries one request at a time.
///
/// The caller passes on the events of its socket and the loop's ticks.
public struct HTTPConnection<Reader: HTTPAnswerReader> {
    /// The end of the request; nil while it is under way.
    public typealias Result = HTTPConnectionResult<Reader.Answer>

    private enum Phase { case connecting(rest: [SocketAddress]), handshake, exchange, idle, ended }

    private let host: String
    private let loop: EventLoop
    private let handler: (any EventLoopHandler)?
    private let tls: TLSContext?
    private let idleTimeout: Duration?
    private var phase = Phase.idle
    /// The socket's token while there is one.
    public private(set) var token: SocketToken?
    private var transport: OutgoingTransport?
    private var unsent: ArraySlice<UInt8> = []
    private var reader: Reader?
    private var isReused = false
    /// When the request fails, or when an idle connection is closed.
    private var deadline = MonotonicTime(nanoseconds: .max)

    /// - Parameters:
    ///   - host: the name in the server's certificate.
    ///   - tls: nil for a connection without TLS.
    ///   - handler: receives the events of the socket; nil for the loop's main handler.
    ///   - idleTimeout: how long the connection is kept for another request; nil if it is not.
    public init(
        to host: String, tls: TLSContext?, on loop: EventLoop,
        for handler: (any EventLoopHandler)? = nil, idleTimeout: Duration? = nil
    ) {
        self.host = host
        self.tls = tls
        self.loop = loop
        self.handler = handler
        self.idleTimeout = idleTimeout
    }

    /// Whether it is open and carries no request.
    public var isIdle: Bool { if case .idle = self.phase { self.token != nil } else { false } }
    /// Whether it is closed for ever.
    public var isEnded: Bool { if case .ended = self.phase { true } else { false } }

    /// Sends a request over the kept connection, or over a new one to the first address that
    /// accepts.
    public mutating func send(
        _ request: [UInt8], to addresses: [SocketAddress], reading reader: Reader,
        until deadline: MonotonicTime
    ) -> Result? {
        self.unsent = request[...]
        self.reader = reader
        self.deadline = deadline
        self.isReused = self.token != nil
        if self.isReused {
            self.phase = .exchange
            return self.exchange()
        }
        return self.connect(to: addresses[...], after: .unreachable)
    }

    private mutating func connect(to addresses: ArraySlice<SocketAddress>, after error: SocketError)
        -> Result?
    {
        self.closeSocket()
        var error = error
        for (index, address) in zip(addresses.indices, addresses) {
            do throws(SocketError) {
                let socket = try Socket.connect(to: address)
                socket.setNoDelay()
                do throws(SocketError) {
                    self.token = try self.loop.register(
                        socket.descriptor, read: true, write: true, for: self.handler)
                } catch {
                    socket.close()
                    throw error
                }
                self.transport = OutgoingTransport(socket)
                self.phase = .connecting(rest: Array(addresses[(index + 1)...]))
                return nil
            } catch let failure {
                error = failure
            }
        }
        return self.fail(error.description)
    }

    /// Processes an event of the socket.
    public mutating func socketReady(readable: Bool, writable: Bool) -> Result? {
        switch self.phase {
        case .connecting(let rest):
            if let error = self.transport?.socket.connectError {
                return self.connect(to: rest[...], after: error)
            }
            return writable ? self.startTLS() : nil
        case .handshake: return self.handshake()
        case .exchange: return self.exchange()
        case .idle:
            // The server closed the connection, or sent what was not asked for.
            self.end()
            return nil
        case .ended: return nil
        }
    }

    /// Ends what takes too long.
    public mutating func tick(now: MonotonicTime) -> Result? {
        guard now >= self.deadline, !self.isEnded else { return nil }
        let isIdle = self.isIdle
        self.end()
        return isIdle ? nil : .timeout
    }

    private mutating func startTLS() -> Result? {
        if let tls = self.tls, let socket = self.transport?.socket {
            do throws(TLSError) {
                self.transport = try OutgoingTransport(socket, to: self.host, tls)
            } catch {
                return self.fail(error.description)
            }
        }
        self.phase = .handshake
        return self.handshake()
    }

    private mutating func handshake() -> Result? {
        do throws(TLSError) {
            guard try self.transport?.handshake() == true else {
                self.updateInterest()
                return nil
            }
        } catch {
            return self.fail(error.description)
        }
        self.phase = .exchange
        return self.exchange()
    }

    private mutating func exchange() -> Result? {
        while !self.unsent.isEmpty {
            let result = self.unsent.withUnsafeBytes { self.transport?.write($0) }
            guard case .bytes(let count)? = result else {
                if case .wouldBlock? = result { break }
                // A server may answer before it has read everything, and then close.
                self.unsent = []
                break
            }
            self.unsent = self.unsent.dropFirst(count)
        }
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let result = chunk.withUnsafeMutableBytes { self.transport?.read(into: $0) }
            switch result {
            case .bytes(let count)?:
                // Bounds this loop too: the answer fails at its limit of bytes.
                let progress = self.reader?.receive(chunk[..<count])
                if case .complete(let answer, let keepsAlive)? = progress {
                    self.finish(keepsAlive: keepsAlive)
                    return .answer(answer)
                }
            case .wouldBlock?:
                self.updateInterest()
                return nil
            case .endOfStream?, nil:
                let answer = self.isStale ? nil : self.reader?.end()
                self.end()
                return answer.map { .answer($0) } ?? .stale
            case .failed(let failure)?:
                let isStale = self.isStale
                self.end()
                return isStale ? .stale : .broken(reason: failure.description)
            }
        }
    }

    private mutating func finish(keepsAlive: Bool) {
        guard keepsAlive, self.unsent.isEmpty, let idleTimeout else { return self.end() }
        self.phase = .idle
        self.deadline = MonotonicTime.now.advanced(by: idleTimeout)
        self.updateInterest()
    }

    /// Whether the server may have closed the kept connection before it got the request.
    private var isStale: Bool { self.isReused && self.reader?.byteCount == 0 }

    private mutating func fail(_ reason: String) -> Result {
        self.end()
        return .unreachable(reason: reason)
    }

    private mutating func updateInterest() {
        guard let token = self.token else { return }
        self.loop.setInterest(
            token, read: true, write: !self.unsent.isEmpty || self.transport?.wantsWrite == true)
    }

    /// Closes the connection without a result.
    public mutating func end() {
        self.phase = .ended
        self.closeSocket()
    }

    private mutating func closeSocket() {
        if let token = self.token { self.loop.close(token) }
        self.token = nil
        self.transport = nil
    }
}
