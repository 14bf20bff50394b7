internal import Configuration
internal import EventLoop
internal import TLS

/// A connection to an endpoint, which carries one request at a time.
///
/// The response's status is the outcome. Its body is ignored: a connection whose response is not
/// complete in one read is closed, so that no receiver can hold one with a slow body.
struct WebhookConnection {
    /// What became of the request.
    enum Result: Equatable {
        case outcome(WebhookOutcome)
        /// The server had closed the kept connection before it got the request.
        case stale
    }

    private enum Phase { case connecting(rest: [SocketAddress]), handshake, exchange, idle, ended }

    let endpoint: Int
    private let url: WebhookURL
    private let loop: EventLoop
    private let tls: TLSContext?
    private var phase = Phase.idle
    private(set) var token: SocketToken?
    private var transport: OutgoingTransport?
    private var unsent: ArraySlice<UInt8> = []
    private var answer = WebhookAnswer()
    private var isReused = false
    /// When the request fails, or when an idle connection is closed.
    private var deadline = MonotonicTime(nanoseconds: .max)

    /// From the first connect to the status.
    static let requestTimeout = Duration.seconds(15)
    /// Shorter than common servers keep an idle connection.
    private static let idleTimeout = Duration.seconds(4)

    init(to url: WebhookURL, of endpoint: Int, tls: TLSContext?, on loop: EventLoop) {
        self.url = url
        self.endpoint = endpoint
        self.tls = tls
        self.loop = loop
    }

    var isIdle: Bool { if case .idle = self.phase { self.token != nil } else { false } }
    var isEnded: Bool { if case .ended = self.phase { true } else { false } }

    /// Sends a request over the kept connection, or over a new one to the first address that
    /// accepts. The caller has checked the addresses.
    mutating func send(
        _ request: [UInt8], to addresses: [SocketAddress], now: MonotonicTime
    ) -> Result? {
        self.unsent = request[...]
        self.answer = WebhookAnswer()
        self.deadline = now.advanced(by: Self.requestTimeout)
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
                    self.token = try self.loop.register(socket.descriptor, read: true, write: true)
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
        return self.fail("\(error)")
    }

    mutating func socketReady(readable: Bool, writable: Bool, now: MonotonicTime) -> Result? {
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

    mutating func tick(now: MonotonicTime) -> Result? {
        guard now >= self.deadline else { return nil }
        switch self.phase {
        case .ended: return nil
        case .idle:
            self.end()
            return nil
        case .connecting, .handshake, .exchange:
            self.isReused = false
            return self.fail("no answer within 15 seconds")
        }
    }

    private mutating func startTLS() -> Result? {
        if self.url.isSecure, let tls, let socket = self.transport?.socket {
            do throws(TLSError) {
                self.transport = try OutgoingTransport(socket, to: self.url.host, tls)
            } catch {
                return self.fail("\(error)")
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
            return self.fail("\(error)")
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
        while true {
            var chunk = [UInt8](repeating: 0, count: 16_384)
            let result = chunk.withUnsafeMutableBytes { self.transport?.read(into: $0) }
            switch result {
            case .bytes(let count)?:
                // Bounds this loop too: the answer fails at its limit of bytes.
                let progress = self.answer.receive(chunk[..<count])
                if let result = self.finish(after: progress) { return result }
            case .wouldBlock?:
                self.updateInterest()
                return nil
            case .endOfStream?, nil: return self.fail(self.answer.endReason)
            case .failed(let failure)?: return self.fail(Self.text(of: failure))
            }
        }
    }

    /// - Returns: nil if the answer is incomplete.
    private mutating func finish(after progress: WebhookAnswer.AnswerProgress) -> Result? {
        guard case .complete(let outcome, let keepsAlive) = progress else { return nil }
        if keepsAlive, self.unsent.isEmpty {
            self.phase = .idle
            self.deadline = MonotonicTime.now.advanced(by: Self.idleTimeout)
            self.updateInterest()
        } else {
            self.end()
        }
        return .outcome(outcome)
    }

    private mutating func fail(_ reason: String) -> Result {
        let isStale = self.isReused && self.answer.byteCount == 0
        self.end()
        return isStale ? .stale : .outcome(.failed(reason))
    }

    private static func text(of failure: OutgoingTransport.TransportFailure) -> String {
        switch failure {
        case .broken(let reason): reason
        case .tls(let error): "\(error)"
        }
    }

    private mutating func updateInterest() {
        guard let token = self.token else { return }
        self.loop.setInterest(
            token, read: true, write: !self.unsent.isEmpty || self.transport?.wantsWrite == true)
    }

    /// Closes the connection without a result.
    mutating func end() {
        self.phase = .ended
        self.closeSocket()
    }

    private mutating func closeSocket() {
        if let token = self.token { self.loop.close(token) }
        self.token = nil
        self.transport = nil
    }
}
