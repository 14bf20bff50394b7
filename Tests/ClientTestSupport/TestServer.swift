import Bytes
public import EventLoop
public import HTTPWire
public import TLS

/// A small WebSocket server on a loop of its own, whose behaviour a test writes.
public final class TestServer: EventLoopHandler, @unchecked Sendable {
    // Unchecked because everything but the loop and the port is touched on the loop only.

    /// What happens to a connection, told on the server's loop.
    public enum Happening: Sendable {
        case opened
        case text(String)
        case pong
        /// A close frame came; the connection is closed after it.
        case closing(WebSocketCloseCode?)
        case ended
    }

    /// What is answered to a handshake.
    public enum Welcome: Sendable {
        case open
        /// With these bytes instead, after which the connection ends.
        case bytes(String)
    }

    private struct Link {
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
    private var links: [SocketToken: Link] = [:]
    private let tls: TLSContext?
    private let welcome: @Sendable (String) -> Welcome
    private let happened: @Sendable (TestServer, SocketToken, Happening) -> Void

    /// - Parameters:
    ///   - welcome: is given the target that a handshake asks for.
    ///   - happened: is given what happens, on the loop.
    public init(
        port: UInt16 = 0, tls: TLSContext? = nil, welcome: @escaping @Sendable (String) -> Welcome = { _ in .open },
        happened: @escaping @Sendable (TestServer, SocketToken, Happening) -> Void
    ) throws {
        self.loop = try EventLoop.start(name: "server", tickPeriod: .milliseconds(5))
        self.listener = try ListeningSocket.open(host: "127.0.0.1", port: port)
        self.port = self.listener.address.port
        self.tls = tls
        self.welcome = welcome
        self.happened = happened
        self.loop.attach(self)
        let loop = self.loop
        let descriptor = self.listener.descriptor
        loop.execute { [self] in self.listenerToken = try? loop.register(descriptor) }
    }

    public func stop() {
        self.loop.stop()
        self.loop.join()
    }

    // MARK: On the loop

    public func target(_ token: SocketToken) -> String { self.links[token]?.target ?? "" }

    /// All that are open, in no order.
    public var open: [SocketToken] { self.links.filter { $0.value.reader != nil }.map(\.key) }

    public func send(_ text: String, to token: SocketToken) {
        var frame = ByteBuffer()
        frame.append(webSocketText: text)
        self.send(frame.bytes, to: token)
    }

    public func send(_ bytes: [UInt8], to token: SocketToken) {
        guard self.links[token] != nil else { return }
        self.links[token]?.unsent += bytes
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
        self.links[token]?.endsWhenSent = true
        self.send(frame.bytes, to: token)
    }

    /// Ends the connection without a word.
    public func drop(_ token: SocketToken) {
        guard self.links.removeValue(forKey: token) != nil else { return }
        self.loop.close(token)
        self.happened(self, token, .ended)
    }

    // MARK: Events

    public func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        if token == self.listenerToken {
            while case .accepted(let socket, _) = self.listener.accept() {
                guard let token = try? self.loop.register(socket.descriptor) else { return socket.close() }
                self.links[token] = Link(socket: socket, tls: self.tls.flatMap { try? TLSConnection(accepting: socket.descriptor, $0) })
            }
            return
        }
        if writable { self.flush(token) }
        if readable { self.read(token) }
    }

    public func loopStopping() {
        self.links = [:]
    }

    private func flush(_ token: SocketToken) {
        guard var link = self.links[token] else { return }
        while !link.unsent.isEmpty {
            let count = link.unsent.withUnsafeBytes { bytes -> Int? in
                if let tls = link.tls {
                    if case .bytes(let count) = tls.write(bytes) { return count }
                } else if case .moved(let count) = link.socket.write(bytes) {
                    return count
                }
                return nil
            }
            guard let count else { break }
            link.unsent.removeFirst(count)
        }
        self.links[token] = link
        self.loop.setInterest(token, read: true, write: !link.unsent.isEmpty)
        if link.unsent.isEmpty, link.endsWhenSent { link.socket.shutdownWriting() }
    }

    private func read(_ token: SocketToken) {
        guard let link = self.links[token] else { return }
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
                    case .closed, .failed: nil
                    }
                }
                return switch link.socket.read(into: room) {
                case .moved(let count): count
                case .wouldBlock: 0
                case .ended, .failed: nil
                }
            }
            guard let count else { return self.drop(token) }
            if count == 0 { break }
            self.links[token]?.unread += room[..<count]
        }
        if self.links[token]?.reader == nil { self.shakeHands(token) }
        while let input = self.nextInput(token) { self.take(input, token) }
    }

    private func shakeHands(_ token: SocketToken) {
        guard let unread = self.links[token]?.unread else { return }
        var parser = HTTPRequestParser()
        var head = HTTPRequestHead()
        guard (try? parser.parse(unread.span.bytes, into: &head, limits: HTTPLimits())) == true else { return }
        let target = String(decoding: unread[head.target], as: UTF8.self)
        self.links[token]?.target = target
        self.links[token]?.unread.removeFirst(head.byteCount)
        switch self.welcome(target) {
        case .open:
            guard let upgrade = try? WebSocketUpgrade(head, in: unread.span.bytes) else { return self.drop(token) }
            var response = ByteBuffer()
            upgrade.appendResponse(to: &response)
            self.links[token]?.reader = WebSocketReader(role: .server)
            self.send(response.bytes, to: token)
            self.happened(self, token, .opened)
        case .bytes(let text):
            self.links[token]?.endsWhenSent = true
            self.send(Array(text.utf8), to: token)
        }
    }

    private enum Input {
        case text(String)
        case ping, pong
        case close(WebSocketCloseCode?)
    }

    private func nextInput(_ token: SocketToken) -> Input? {
        guard var link = self.links[token], link.reader != nil else { return nil }
        var offset = 0
        defer {
            link.unread.removeFirst(offset)
            self.links[token] = link
        }
        let found = link.unread.withUnsafeMutableBytes { bytes -> Input? in
            guard let input = try? link.reader?.next(in: bytes, from: &offset, limits: WebSocketLimits()) else { return nil }
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

    private func take(_ input: Input, _ token: SocketToken) {
        switch input {
        case .text(let text): self.happened(self, token, .text(text))
        case .pong: self.happened(self, token, .pong)
        case .ping: break
        case .close(let code):
            self.happened(self, token, .closing(code))
            if self.links[token]?.endsWhenSent == false { self.close(token, code) }
        }
    }
}
