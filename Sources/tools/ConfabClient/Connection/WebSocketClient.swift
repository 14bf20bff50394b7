internal import Bytes
public import EventLoop
public import HTTPWire
public import TLS

/// A WebSocket client connection: connect, handshake, frames, pings and close.
///
/// It answers pings, detects a dead connection, and bounds its buffers in both directions. It
/// reports everything as events; `closed` is the last one and occurs once. The handler of the event
/// loop owns the value.
public struct WebSocketClient {
    public enum Event: Sendable, Equatable {
        case opened
        case text([UInt8])
        /// A binary message. None of Confab's protocols has any.
        case binary
        /// Any bytes were received.
        case bytesReceived
        case closed(ClientError)
    }

    private enum State {
        case idle
        case connecting(rest: [SocketAddress])
        case tlsHandshake
        case upgrading(ClientHandshake)
        case open
        /// The close frame was sent, and the client waits for the server's.
        case closing
        case ended
    }

    private let loop: EventLoop
    private let tls: TLSContext?
    private var url: WebSocketURL
    private var fields: [HTTPField] = []
    private var state = State.idle
    private var token: SocketToken?
    private var transport: OutgoingTransport?
    private var reader = WebSocketReader(role: .client)
    private var unread: [UInt8] = []
    private var readBuffer = [UInt8](repeating: 0, count: WebSocketClient.readByteCount)
    private var unsent = OutboundBytes(limitBytes: WebSocketClient.outboundByteLimit)
    private var writeFailure: ClientError?
    private var deadline = MonotonicTime(nanoseconds: .max)
    private var watchdog = Watchdog(at: MonotonicTime(nanoseconds: 0))
    /// Whether bytes have arrived since the last tick.
    private var hasReceived = false
    private var random = SystemRandomNumberGenerator()

    /// How many bytes may wait for the socket.
    public static let outboundByteLimit = 1 << 20
    /// The longest answer of a Confab server is a history of 4 MiB of text, and JSON may need six
    /// bytes for each byte of it.
    private static let inboundLimits = WebSocketLimits(frameBytes: 32 << 20, messageBytes: 32 << 20)
    private static let readByteCount = 64 << 10
    /// From the first connect to the open WebSocket.
    private static let openTimeout = Duration.seconds(15)
    private static let closeTimeout = Duration.seconds(2)

    /// - Parameter tls: required for `wss`.
    public init(on loop: EventLoop, url: WebSocketURL, tls: TLSContext?) {
        precondition(tls != nil || !url.isSecure, "A secure WebSocket needs a TLS context.")
        self.loop = loop
        self.url = url
        self.tls = tls
    }

    public var isOpen: Bool {
        if case .open = self.state { true } else { false }
    }

    /// Connects to the first address that answers. Call it only without a connection.
    ///
    /// - Parameter fields: additional request fields, such as `Authorization`.
    public mutating func connect(
        to addresses: [SocketAddress], as url: WebSocketURL, fields: [HTTPField] = [],
        now: MonotonicTime, into events: inout [Event]
    ) {
        self.url = url
        self.fields = fields
        self.reader = WebSocketReader(role: .client)
        self.unread = []
        self.unsent = OutboundBytes(limitBytes: Self.outboundByteLimit)
        self.writeFailure = nil
        self.deadline = now.advanced(by: Self.openTimeout)
        self.watchdog = Watchdog(at: now)
        self.hasReceived = false
        self.connectNext(of: addresses[...], after: nil, into: &events)
    }

    private mutating func connectNext(
        of addresses: ArraySlice<SocketAddress>, after failure: SocketError?,
        into events: inout [Event]
    ) {
        self.closeSocket()
        var failure = failure
        for (index, address) in addresses.enumerated() {
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
                self.state = .connecting(rest: Array(addresses.dropFirst(index + 1)))
                return
            } catch {
                failure = error
            }
        }
        self.end(.socket(failure ?? .unreachable, endpoint: self.endpoint), into: &events)
    }

    /// Host and port, for error texts.
    private var endpoint: String {
        "\(HostPort.bracketed(self.url.host)):\(self.url.port)"
    }

    /// Sends a text. It is lost when there is no connection, or when the connection ends before it
    /// is sent.
    public mutating func send(_ text: String, into events: inout [Event]) {
        guard self.isOpen else { return }
        var frame = ByteBuffer()
        frame.append(webSocketText: text, mask: .random(in: .min ... .max, using: &self.random))
        self.send(frame, into: &events)
    }

    /// Sends a close frame. `closed` follows when the server answers, or after two seconds.
    public mutating func close(
        _ code: WebSocketCloseCode, now: MonotonicTime, into events: inout [Event]
    ) {
        guard self.isOpen else { return self.end(.closed(code, reason: ""), into: &events) }
        self.sendClose(code, into: &events)
        guard self.isOpen else { return }
        self.state = .closing
        self.deadline = now.advanced(by: Self.closeTimeout)
    }

    /// Ends the connection without a close frame.
    public mutating func drop(_ error: ClientError, into events: inout [Event]) {
        self.end(error, into: &events)
    }

    /// Checks timeouts. Call it at least once a second, always with the same clock.
    public mutating func tick(now: MonotonicTime, into events: inout [Event]) {
        switch self.state {
        case .idle, .ended:
            break
        case .connecting, .tlsHandshake, .upgrading:
            if now >= self.deadline {
                self.end(.socket(.timedOut, endpoint: self.endpoint), into: &events)
            }
        case .closing:
            if now >= self.deadline { self.end(.closed(.normal, reason: ""), into: &events) }
        case .open:
            if self.hasReceived { self.watchdog.received(at: now) }
            self.hasReceived = false
            switch self.watchdog.check(at: now) {
            case .alive: break
            case .dead:
                let seconds = Int(self.watchdog.silence(at: now).components.seconds)
                self.end(.unresponsive(seconds: seconds), into: &events)
            case .probe:
                var frame = ByteBuffer()
                frame.append(
                    webSocketFrame: .ping, payload: UnsafeRawBufferPointer(start: nil, count: 0),
                    mask: .random(in: .min ... .max, using: &self.random))
                self.send(frame, into: &events)
            }
        }
    }

    /// Call it for every socket event of the loop; events of other sockets are ignored.
    public mutating func socketReady(
        _ token: SocketToken, readable: Bool, writable: Bool, into events: inout [Event]
    ) {
        guard token == self.token else { return }
        switch self.state {
        case .idle, .ended:
            break
        case .connecting(let rest):
            if let error = self.transport?.socket.connectError {
                self.connectNext(of: rest[...], after: error, into: &events)
            } else if writable {
                self.startTLS(into: &events)
            }
        case .tlsHandshake:
            self.performHandshake(into: &events)
        case .upgrading, .open, .closing:
            if readable { self.read(into: &events) }
            if writable || self.transport?.wantsWrite == true { self.flush(into: &events) }
        }
    }
}

extension WebSocketClient {
    private mutating func startTLS(into events: inout [Event]) {
        if self.url.isSecure, let tls = self.tls, let socket = self.transport?.socket {
            do throws(TLSError) {
                self.transport = try OutgoingTransport(socket, to: self.url.host, tls)
            } catch {
                return self.end(.tls(error), into: &events)
            }
        }
        self.state = .tlsHandshake
        self.performHandshake(into: &events)
    }

    private mutating func performHandshake(into events: inout [Event]) {
        do throws(TLSError) {
            guard try self.transport?.handshake() == true else { return self.updateInterest() }
        } catch {
            return self.end(.tls(error), into: &events)
        }
        let handshake = ClientHandshake(to: self.url, fields: self.fields, using: &self.random)
        self.state = .upgrading(handshake)
        var request = ByteBuffer()
        handshake.appendRequest(to: &request)
        self.send(request, into: &events)
    }

    private mutating func read(into events: inout [Event]) {
        repeat {
            let transfer = self.readBuffer.withUnsafeMutableBytes { self.transport?.read(into: $0) }
            guard case .bytes(let count) = transfer else {
                return self.readStopped(reading: transfer ?? .endOfStream, into: &events)
            }
            self.readBuffer.withUnsafeBytes { self.unread.append(contentsOf: $0[..<count]) }
            self.hasReceived = true
            self.processInput(into: &events)
        } while self.transport?.readsMustDrain == true
        self.updateInterest()
    }

    private mutating func readStopped(
        reading transfer: OutgoingTransport.TransportResult, into events: inout [Event]
    ) {
        switch transfer {
        case .wouldBlock, .bytes:
            self.updateInterest()
        case .endOfStream:
            if case .upgrading(let handshake) = self.state {
                return self.end(handshake.ended(), into: &events)
            }
            if case .closing = self.state {
                return self.end(.closed(.normal, reason: ""), into: &events)
            }
            self.end(
                self.writeFailure ?? .broken(reason: "the server closed it without a close frame"),
                into: &events)
        case .failed(let failure):
            self.end(self.writeFailure ?? ClientError(failure), into: &events)
        }
    }

    private mutating func processInput(into events: inout [Event]) {
        if case .upgrading(var handshake) = self.state {
            do throws(ClientError) {
                let progress = try handshake.receive(self.unread.span.bytes)
                self.state = .upgrading(handshake)
                switch progress {
                case .more(let consumed):
                    self.unread.removeFirst(consumed)
                    return
                case .open(let consumed):
                    self.unread.removeFirst(consumed)
                    self.state = .open
                    events.append(.opened)
                }
            } catch {
                return self.end(error, into: &events)
            }
        }
        var offset = 0
        do throws(WebSocketError) {
            while let input = try self.next(from: &offset) { self.handle(input, into: &events) }
        } catch {
            self.sendClose(error.closeCode, into: &events)
            return self.end(.protocolViolation(error), into: &events)
        }
        self.unread.removeFirst(min(offset, self.unread.count))
        if case .ended = self.state { return }
        events.append(.bytesReceived)
    }

    private enum Input {
        case text([UInt8]), binary, ping([UInt8]), pong
        /// A part of a message whose end has not arrived.
        case fragment
        case close(WebSocketCloseCode?, String)
    }

    private mutating func next(from offset: inout Int) throws(WebSocketError) -> Input? {
        if case .ended = self.state { return nil }
        let input = self.unread.withUnsafeMutableBytes { bytes -> Result<Input?, WebSocketError> in
            Result { () throws(WebSocketError) in
                switch try self.reader.next(in: bytes, from: &offset, limits: Self.inboundLimits) {
                case .message(.text, let index): .text(Array(bytes[index]))
                case .assembledMessage(.text, let text): .text(text)
                case .message(.binary, _), .assembledMessage(.binary, _), .inflatedMessage: .binary
                case .ping(let index): .ping(Array(bytes[index]))
                case .pong: .pong
                case .fragment: .fragment
                case .close(let code, let reason):
                    .close(code, String(decoding: bytes[reason], as: UTF8.self))
                case nil: nil
                }
            }
        }
        return try input.get()
    }

    private mutating func handle(_ input: Input, into events: inout [Event]) {
        switch input {
        case .text(let text): events.append(.text(text))
        case .binary: events.append(.binary)
        case .pong, .fragment: break
        case .ping(let payload):
            var frame = ByteBuffer()
            let mask = UInt32.random(in: .min ... .max, using: &self.random)
            payload.withUnsafeBytes { frame.append(webSocketFrame: .pong, payload: $0, mask: mask) }
            self.send(frame, into: &events)
        case .close(let code, let reason):
            if self.isOpen { self.sendClose(code, into: &events) }
            self.transport?.shutdownWriting()
            self.end(.closed(code, reason: SafeText.line(reason, limit: 200)), into: &events)
        }
    }

    private mutating func sendClose(_ code: WebSocketCloseCode?, into events: inout [Event]) {
        var frame = ByteBuffer()
        frame.append(webSocketClose: code, mask: .random(in: .min ... .max, using: &self.random))
        self.send(frame, into: &events)
    }

    private mutating func send(_ bytes: ByteBuffer, into events: inout [Event]) {
        guard self.writeFailure == nil else { return }
        guard bytes.bytes.withUnsafeBytes({ self.unsent.append($0) }) else {
            return self.end(.outboundFull(limitBytes: Self.outboundByteLimit), into: &events)
        }
        self.flush(into: &events)
    }

    private mutating func flush(into events: inout [Event]) {
        guard var transport = self.transport else { return }
        let error = self.unsent.flush(to: &transport)
        self.transport = transport
        if let error {
            // The reason may still be readable: a server that rejects the client sends a close
            // frame, closes, and resets the connection when more bytes arrive.
            self.writeFailure = self.writeFailure ?? error
            self.unsent = OutboundBytes(limitBytes: Self.outboundByteLimit)
        }
        self.updateInterest()
    }

    private mutating func updateInterest() {
        guard let token = self.token else { return }
        self.loop.setInterest(
            token, read: true, write: !self.unsent.isEmpty || self.transport?.wantsWrite == true)
    }

    private mutating func end(_ error: ClientError, into events: inout [Event]) {
        if case .ended = self.state { return }
        self.state = .ended
        self.closeSocket()
        events.append(.closed(error))
    }

    private mutating func closeSocket() {
        if let token = self.token { self.loop.close(token) }
        self.token = nil
        self.transport = nil
        self.unread = []
    }
}
