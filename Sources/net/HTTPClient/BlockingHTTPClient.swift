internal import Bytes
internal import EventLoop
internal import Glibc
public import HTTPWire
public import TLS

/// Sends requests, each over a connection of its own, and blocks until the response.
public struct BlockingHTTPClient {
    /// Why a request has no response.
    public enum RequestFailure: Error {
        /// There is no connection; the system's reason.
        case broken(reason: String)
        case tls(TLSError)
        /// - Parameter isHandshake: whether TLS was not established yet.
        case timeout(isHandshake: Bool)
        case answer(HTTPAnswerError)
    }

    /// How long it waits for the server.
    public enum WaitLimit {
        /// For all of a request.
        case total(Duration)
        /// Each time that it waits.
        case each(Duration)
    }

    private let host: String
    private let port: String
    private let tls: TLSContext?

    /// - Parameter tls: nil for a connection without TLS.
    public init(to host: String, port: String, tls: TLSContext? = nil) {
        self.host = host
        self.port = port
        self.tls = tls
    }

    /// The field `Host` of requests.
    public var hostField: String { "\(HostPort.bracketed(self.host)):\(self.port)" }

    /// - Parameters:
    ///   - request: the bytes of head and body.
    ///   - connectLimit: the time for each address of the host.
    public func send(
        _ request: [UInt8], reading reader: HTTPResponseReader, connectLimit: Duration,
        waitLimit: WaitLimit
    ) throws(RequestFailure) -> HTTPClientResponse {
        let start = ContinuousClock.now
        let socket = try self.connect(milliseconds: Int32(connectLimit / .milliseconds(1)))
        defer { socket.close() }
        // OpenSSL writes to the socket itself.
        if self.tls != nil { ProcessSetup.ignoreBrokenPipes() }
        /// Waits for the socket; returns false when the time is over.
        func wait(for transport: OutgoingTransport, _ event: Int32) -> Bool {
            switch waitLimit {
            case .total(let limit):
                transport.wait(for: event, atMost: limit - (ContinuousClock.now - start))
            case .each(let limit): transport.wait(for: event, atMost: limit)
            }
        }
        var transport = try self.transport(over: socket)
        while try !Self.handshake(&transport) {
            guard wait(for: transport, POLLIN) else { throw .timeout(isHandshake: true) }
        }
        var unsent = request[...]
        while !unsent.isEmpty {
            switch unsent.withUnsafeBytes({ transport.write($0) }) {
            case .bytes(let count): unsent = unsent.dropFirst(count)
            case .wouldBlock:
                guard wait(for: transport, POLLOUT) else { throw .timeout(isHandshake: false) }
            case .endOfStream: throw .broken(reason: "the server closed the connection")
            case .failed(let failure): throw .broken(reason: failure.description)
            }
        }
        var reader = reader
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            switch chunk.withUnsafeMutableBytes({ transport.read(into: $0) }) {
            case .bytes(let count):
                if case .complete(let answer, _) = reader.receive(chunk[..<count]) {
                    return try Self.response(answer)
                }
            case .wouldBlock:
                guard wait(for: transport, POLLIN) else { throw .timeout(isHandshake: false) }
            case .endOfStream: return try Self.response(reader.end())
            case .failed(let failure): throw .broken(reason: failure.description)
            }
        }
    }

    private static func response(_ answer: HTTPResponseReader.Answer) throws(RequestFailure)
        -> HTTPClientResponse
    {
        switch answer {
        case .success(let response): return response
        case .failure(let error): throw .answer(error)
        }
    }

    // MARK: The transport

    private func transport(over socket: Socket) throws(RequestFailure) -> OutgoingTransport {
        guard let tls = self.tls else { return OutgoingTransport(socket) }
        do throws(TLSError) {
            return try OutgoingTransport(socket, to: self.host, tls)
        } catch {
            throw .tls(error)
        }
    }

    private static func handshake(_ transport: inout OutgoingTransport) throws(RequestFailure)
        -> Bool
    {
        do throws(TLSError) { return try transport.handshake() } catch { throw .tls(error) }
    }

    /// Connects to the first address of the host that accepts.
    private func connect(milliseconds: Int32) throws(RequestFailure) -> Socket {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(self.host, self.port, &hints, &list)
        guard status == 0 else { throw .broken(reason: String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(list) }
        var reason: Int32 = 0
        var next = list
        while let address = next?.pointee {
            next = address.ai_next
            let type =
                address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            let descriptor = socket(address.ai_family, type, address.ai_protocol)
            guard descriptor >= 0 else {
                reason = errno
                continue
            }
            reason = Self.connect(descriptor, address, milliseconds)
            if reason == 0 { return Socket(descriptor: descriptor) }
            close(descriptor)
        }
        throw .broken(reason: String(cString: strerror(reason)))
    }

    /// - Returns: the error number; 0 on success.
    private static func connect(_ descriptor: Int32, _ address: addrinfo, _ milliseconds: Int32)
        -> Int32
    {
        if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return 0 }
        guard errno == EINPROGRESS else { return errno }
        var watched = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&watched, 1, milliseconds) > 0 else { return ETIMEDOUT }
        var reason: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &reason, &size)
        return reason
    }
}

extension OutgoingTransport {
    /// Blocks until the socket is ready; returns false when the time is over.
    fileprivate func wait(for event: Int32, atMost limit: Duration) -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            let left = (deadline - .now) / .milliseconds(1)
            guard left > 0 else { return false }
            let events = self.wantsWrite ? event | POLLOUT : event
            var watched = pollfd(fd: self.socket.descriptor, events: Int16(events), revents: 0)
            if poll(&watched, 1, Int32(left.rounded(.up))) > 0 { return true }
        }
    }
}
