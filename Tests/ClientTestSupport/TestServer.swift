import Bytes
public import EventLoop
public import HTTPWire
public import TLS

/// A small WebSocket server on its own event loop, with behaviour that a test defines.
public final class TestServer: EventLoopHandler, @unchecked Sendable {
    // Unchecked because everything but the loop and the port is accessed only on the loop.

    /// An event of a connection, reported on the server's loop.
    public enum ConnectionEvent: Sendable {
        case opened
        case text(String)
        case pong
        /// A close frame arrived; the connection is closed after it.
        case closing(WebSocketCloseCode?)
        case ended
    }

    /// The response to a handshake.
    public enum HandshakeReply: Sendable {
        case open
        /// These bytes instead of the response, and then the end of the connection.
        case bytes(String)
    }

    private struct ServerConnection {
        let socket: Socket
        var tls: TLSConnection?
        var reader: WebSocketReader?
        var unread: [UInt8] = []
        var unsent: [UInt8] = []
        var target = ""
        var endsWhenSent = false
    }

    public let port: UInt16
    private let loop: EventLoop
    private let listener: ListeningSocket
    private var listenerToken: SocketToken?
    private var connections: [SocketToken: ServerConnection] = [:]
    private let tls: TLSContext?
    private let handshakeReply: @Sendable (String) -> HandshakeReply
    private let onEvent: @Sendable (TestServer, SocketToken, ConnectionEvent) -> Void

    /// - Parameters:
    ///   - handshakeReply: receives the target of the handshake.
    ///   - onEvent: receives the events, on the loop.
    public init(
        port: UInt16 = 0, tls: TLSContext? = nil,
        handshakeReply welcome: @escaping @Sendable (String) -> HandshakeReply = { _ in .open },
        onEvent happened: @escaping @Sendable (TestServer, SocketToken, ConnectionEvent) -> Void
    ) throws {
        self.loop = try EventLoop.start(name: "server", tickPeriod: .milliseconds(5))
        self.listener = try ListeningSocket.open(host: "127.0.0.1", port: port)
        self.port = self.listener.address.port
        self.tls = tls
        self.handshakeReply = welcome
        self.onEvent = happened
        self.loop.setHandler(self)
        let loop = self.loop
        let descriptor = self.listener.descriptor
        loop.execute { [self] in self.listenerToken = try? loop.register(descriptor) }
    }

    public func stop() {
        self.loop.stop()
        self.loop.join()
    }

    // MARK: On the loop

    public func target(_ token: SocketToken) -> String { self.connections[token]?.target ?? "" }

    /// All open connections, in no particular order.
    public var open: [SocketToken] { self.connections.filter { $0.value.reader != nil }.map(\.key) }

    public func send(_ text: String, to token: SocketToken) {
        var frame = ByteBuffer()
        frame.append(webSocketText: text)
        self.send(frame.bytes, to: token)
    }

    public func send(_ bytes: [UInt8], to token: SocketToken) {
        guard self.connections[token] != nil else { return }
        self.connections[token]?.unsent += bytes
        self.flush(token)
    }

    public func ping(_ token: SocketToken) {
        var frame = ByteBuffer()
        frame.append(webSocketFrame: .ping, payload: UnsafeRawBufferPointer(start: nil, count: 0))
        self.send(frame.bytes, to: token)
    }

    public func close(_ token: SocketToken, _ code: WebSocketCloseCode?, reason: String = "") {
        var frame = ByteBuffer()
        frame.append(webSocketClose: code, reason: reason)
        self.connections[token]?.endsWhenSent = true
        self.send(frame.bytes, to: token)
    }

    /// Ends the connection without a close frame.
    public func drop(_ token: SocketToken) {
        guard self.connections.removeValue(forKey: token) != nil else { return }
        self.loop.close(token)
        self.onEvent(self, token, .ended)
    }

    // MARK: Events

    public func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        if token == self.listenerToken {
            while case .accepted(let socket, _) = self.listener.accept() {
                guard let token = try? self.loop.register(socket.descriptor) else {
                    return socket.close()
                }
                self.connections[token] = ServerConnection(
                    socket: socket,
                    tls: self.tls.flatMap { try? TLSConnection(accepting: socket.descriptor, $0) })
            }
            return
        }
        if writable { self.flush(token) }
        if readable { self.read(token) }
    }

    public func loopStopping() {
        self.connections = [:]
    }

    private func flush(_ token: SocketToken) {
        guard var connection = self.connections[token] else { return }
        while !connection.unsent.isEmpty {
            let count = connection.unsent.withUnsafeBytes { bytes -> Int? in
                if let tls = connection.tls {
                    if case .bytes(let count) = tls.write(bytes) { return count }
                } else if case .bytes(let count) = connection.socket.write(bytes) {
                    return count
                }
                return nil
            }
            guard let count else { break }
            connection.unsent.removeFirst(count)
        }
        self.connections[token] = connection
        self.loop.setInterest(token, read: true, write: !connection.unsent.isEmpty)
        if connection.unsent.isEmpty, connection.endsWhenSent {
            connection.socket.shutdownWriting()
        }
    }

    private func read(_ token: SocketToken) {
        guard let connection = self.connections[token] else { return }
        if let tls = connection.tls {
            switch tls.handshake() {
            case .done: break
            case .wantRead, .wantWrite: return
            case .failed: return self.drop(token)
            }
        }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = buffer.withUnsafeMutableBytes { buffer -> Int? in
                if let tls = connection.tls {
                    return switch tls.read(into: buffer) {
                    case .bytes(let count): count
                    case .wantRead, .wantWrite: 0
                    case .endOfStream, .failed: nil
                    }
                }
                return switch connection.socket.read(into: buffer) {
                case .bytes(let count): count
                case .wouldBlock: 0
                case .endOfStream, .failed: nil
                }
            }
            guard let count else { return self.drop(token) }
            if count == 0 { break }
            self.connections[token]?.unread += buffer[..<count]
        }
        if self.connections[token]?.reader == nil { self.performHandshake(token) }
        while let input = self.nextInput(token) { self.handle(input, token) }
    }

    private func performHandshake(_ token: SocketToken) {
        guard let unread = self.connections[token]?.unread else { return }
        var parser = HTTPRequestParser()
        var head = HTTPRequestHead()
        guard (try? parser.parse(unread.span.bytes, into: &head, limits: HTTPLimits())) == true
        else { return }
        let target = String(decoding: unread[head.target], as: UTF8.self)
        self.connections[token]?.target = target
        self.connections[token]?.unread.removeFirst(head.byteCount)
        switch self.handshakeReply(target) {
        case .open:
            guard let upgrade = try? WebSocketUpgrade(head, in: unread.span.bytes) else {
                return self.drop(token)
            }
            var response = ByteBuffer()
            upgrade.appendResponse(to: &response)
            self.connections[token]?.reader = WebSocketReader(role: .server)
            self.send(response.bytes, to: token)
            self.onEvent(self, token, .opened)
        case .bytes(let text):
            self.connections[token]?.endsWhenSent = true
            self.send(Array(text.utf8), to: token)
        }
    }

    private enum Input {
        case text(String)
        case ping, pong, fragment
        case close(WebSocketCloseCode?)
    }

    private func nextInput(_ token: SocketToken) -> Input? {
        guard var connection = self.connections[token], connection.reader != nil else { return nil }
        var offset = 0
        defer {
            connection.unread.removeFirst(offset)
            self.connections[token] = connection
        }
        let found = connection.unread.withUnsafeMutableBytes { bytes -> Input? in
            guard
                let input = try? connection.reader?.next(
                    in: bytes, from: &offset, limits: WebSocketLimits())
            else { return nil }
            return switch input {
            case .message(_, let range): .text(String(decoding: bytes[range], as: UTF8.self))
            case .assembledMessage(_, let text): .text(String(decoding: text, as: UTF8.self))
            case .inflatedMessage: nil
            case .ping: .ping
            case .pong: .pong
            case .fragment: .fragment
            case .close(let code, _): .close(code)
            }
        }
        return found
    }

    private func handle(_ input: Input, _ token: SocketToken) {
        switch input {
        case .text(let text): self.onEvent(self, token, .text(text))
        case .pong: self.onEvent(self, token, .pong)
        case .ping, .fragment: break
        case .close(let code):
            self.onEvent(self, token, .closing(code))
            if self.connections[token]?.endsWhenSent == false { self.close(token, code) }
        }
    }
}
