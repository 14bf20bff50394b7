import Bytes
public import EventLoop
public import HTTPWire
public import TLS

/// A small WebSocket server on a loop of its own, whose behaviour a test writes.
public final class TestServer: EventLoopHandler, @unchecked Sendable {
    // Unchecked because everything but the loop and the port is touched on the loop only.

    /// What happens to a connection, told on the server's loop.
    public enum ConnectionEvent: Sendable {
        case opened
        case text(String)
        case pong
        /// A close frame came; the connection is closed after it.
        case closing(WebSocketCloseCode?)
        case ended
    }

    /// What is answered to a handshake.
    public enum HandshakeReply: Sendable {
        case open
        /// With these bytes instead, after which the connection ends.
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
    ///   - welcome: is given the target that a handshake asks for.
    ///   - happened: is given what happens, on the loop.
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

    /// All that are open, in no order.
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

    /// Ends the connection without a word.
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
        guard var link = self.connections[token] else { return }
        while !link.unsent.isEmpty {
            let count = link.unsent.withUnsafeBytes { bytes -> Int? in
                if let tls = link.tls {
                    if case .bytes(let count) = tls.write(bytes) { return count }
                } else if case .bytes(let count) = link.socket.write(bytes) {
                    return count
                }
                return nil
            }
            guard let count else { break }
            link.unsent.removeFirst(count)
        }
        self.connections[token] = link
        self.loop.setInterest(token, read: true, write: !link.unsent.isEmpty)
        if link.unsent.isEmpty, link.endsWhenSent { link.socket.shutdownWriting() }
    }

    private func read(_ token: SocketToken) {
        guard let link = self.connections[token] else { return }
        if let tls = link.tls {
            switch tls.handshake() {
            case .done: break
            case .wantRead, .wantWrite: return
            case .failed: return self.drop(token)
            }
        }
        var room = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = room.withUnsafeMutableBytes { room -> Int? in
                if let tls = link.tls {
                    return switch tls.read(into: room) {
                    case .bytes(let count): count
                    case .wantRead, .wantWrite: 0
                    case .endOfStream, .failed: nil
                    }
                }
                return switch link.socket.read(into: room) {
                case .bytes(let count): count
                case .wouldBlock: 0
                case .endOfStream, .failed: nil
                }
            }
            guard let count else { return self.drop(token) }
            if count == 0 { break }
            self.connections[token]?.unread += room[..<count]
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
        case ping, pong
        case close(WebSocketCloseCode?)
    }

    private func nextInput(_ token: SocketToken) -> Input? {
        guard var link = self.connections[token], link.reader != nil else { return nil }
        var offset = 0
        defer {
            link.unread.removeFirst(offset)
            self.connections[token] = link
        }
        let found = link.unread.withUnsafeMutableBytes { bytes -> Input? in
            guard
                let input = try? link.reader?.next(
                    in: bytes, from: &offset, limits: WebSocketLimits())
            else { return nil }
            return switch input {
            case .message(_, let place): .text(String(decoding: bytes[place], as: UTF8.self))
            case .assembledMessage(_, let text): .text(String(decoding: text, as: UTF8.self))
            case .inflatedMessage: nil
            case .ping: .ping
            case .pong: .pong
            case .close(let code, _): .close(code)
            }
        }
        return found
    }

    private func handle(_ input: Input, _ token: SocketToken) {
        switch input {
        case .text(let text): self.onEvent(self, token, .text(text))
        case .pong: self.onEvent(self, token, .pong)
        case .ping: break
        case .close(let code):
            self.onEvent(self, token, .closing(code))
            if self.connections[token]?.endsWhenSent == false { self.close(token, code) }
        }
    }
}
