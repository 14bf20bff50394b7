import Bytes
import EventLoop
import Glibc
public import HTTPWire
import SeededRandom
import StoreTestSupport
public import TLS
public import TestKit

/// A WebSocket client with TLS and compression, of which one test can use many.
///
/// It parses frames with Confab's own reader, so it does not verify the format of frames.
/// `RawWebSocketClient` does.
public final class TestPeer {
    public enum Event: Sendable, Equatable {
        case text(String)
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        case close(code: UInt16?, reason: String)

        var isMessage: Bool {
            switch self {
            case .text, .binary: true
            case .ping, .pong, .close: false
            }
        }

        /// Nil for anything but a close frame with a code.
        public var closeCode: UInt16? {
            if case .close(let code, _) = self { code } else { nil }
        }
    }

    /// Received events, oldest first.
    public private(set) var events: [Event] = []
    private var firstEvent = 0
    /// The peer has closed its side, or the connection is broken.
    public private(set) var isClosed = false
    /// How many messages were compressed.
    public private(set) var compressedCount = 0
    private let descriptor: Int32
    private var tls: TLSConnection?
    private var bytes: [UInt8] = []
    private var offset = 0
    private var reader: WebSocketReader
    private let inflater = Inflater()
    private let deflater = Deflater()

    /// Connects and upgrades. Throws if the upgrade is refused.
    ///
    /// - Parameter preventsHandoff: whether another request precedes the upgrade in the same write.
    ///   The connection then has a response to send, and cannot be handed to the loop of its
    ///   conversation.
    public init(
        _ path: String, port: UInt16, tls context: TLSContext? = nil, compresses: Bool = false,
        receiveBytes: Int32? = nil,
        fields: [HTTPField] = [], preventsHandoff: Bool = false
    ) throws {
        self.reader = WebSocketReader(role: .client, acceptsCompression: compresses)
        let socket = try Socket.connect(to: SocketAddress(literal: "127.0.0.1", port: port)!)
        self.descriptor = socket.descriptor
        if var size = receiveBytes {
            setsockopt(
                self.descriptor, SOL_SOCKET, SO_RCVBUF, &size,
                socklen_t(MemoryLayout.size(ofValue: size)))
        }
        socket.setNoDelay()
        // If one of these throws, `deinit` closes the socket.
        try self.wait(Int16(POLLOUT))
        if let error = socket.connectError { throw TestFailure(error.description) }
        if let context { try self.performHandshake(context) }
        try self.upgrade(path, port, compresses, fields, preventsHandoff)
    }

    deinit {
        self.tls = nil
        close(self.descriptor)
    }

    private func wait(_ events: Int16, within time: Duration = Deadline.defaultTimeout) throws {
        var entry = pollfd(fd: self.descriptor, events: events, revents: 0)
        guard poll(&entry, 1, Deadline(within: time).milliseconds) > 0 else {
            throw TestFailure("waited \(time) for the peer")
        }
    }

    private func performHandshake(_ context: TLSContext) throws {
        let connection = try TLSConnection(connecting: self.descriptor, to: "localhost", context)
        while true {
            switch connection.handshake() {
            case .done:
                self.tls = connection
                return
            case .wantRead: try self.wait(Int16(POLLIN))
            case .wantWrite: try self.wait(Int16(POLLOUT))
            case .failed(let error): throw TestFailure(error.description)
            }
        }
    }

    private func upgrade(
        _ path: String, _ port: UInt16, _ compresses: Bool, _ fields: [HTTPField],
        _ followsAnotherRequest: Bool
    ) throws {
        // Not `SystemRandomNumberGenerator`: it has no storage, and the thread sanitizer reports
        // races on the address that all instances share.
        var generator = SeededGenerator(seed: .random(in: 0 ... .max))
        let handshake = WebSocketClientHandshake(offersCompression: compresses, using: &generator)
        var request = ByteBuffer()
        if followsAnotherRequest {
            request.append("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        }
        handshake.appendRequest(
            to: &request, target: path, host: "127.0.0.1:\(port)", fields: fields)
        try self.send(bytes: request.bytes)
        if followsAnotherRequest {
            let (head, _) = try self.response()
            guard case .bytes(let count) = head.body else {
                throw TestFailure("health has no length")
            }
            while self.bytes.count < head.byteCount + count { try self.receiveMore() }
            self.bytes.removeFirst(head.byteCount + count)
        }
        let (head, bytes) = try self.response()
        guard try handshake.verify(head, in: bytes.span.bytes).compresses == compresses else {
            throw TestFailure("compression was not agreed on")
        }
        self.offset = head.byteCount
        try self.parse()
    }

    /// The head of a response, and the bytes that begin with it.
    private func response() throws -> (HTTPResponseHead, [UInt8]) {
        var parser = HTTPResponseParser()
        var head = HTTPResponseHead()
        var bytes = self.bytes
        while try !parser.parse(bytes.span.bytes, into: &head) {
            try self.receiveMore()
            bytes = self.bytes
        }
        return (head, bytes)
    }

    private func receiveMore() throws {
        guard !self.isClosed else {
            throw TestFailure("the connection ended before a response came")
        }
        try self.wait(Int16(POLLIN))
        self.receive()
    }

    // MARK: Sending

    /// Sends a text message in this number of fragments.
    public func send(_ text: String, compressed: Bool = false, fragments: Int = 1) throws {
        var payload = Array(text.utf8)
        if compressed {
            var deflated = ByteBuffer()
            guard payload.withUnsafeBytes({ self.deflater.deflate($0, into: &deflated) }) else {
                throw TestFailure("\(payload.count) bytes do not shrink")
            }
            payload = deflated.bytes
        }
        var frames = ByteBuffer()
        for part in 0..<fragments {
            let piece = Array(
                payload[payload.count * part / fragments..<payload.count * (part + 1) / fragments])
            piece.withUnsafeBytes {
                frames.append(
                    webSocketFrame: part == 0 ? .text : .continuation, payload: $0,
                    isFinal: part == fragments - 1,
                    isCompressed: compressed && part == 0,
                    mask: .random(in: 0 ... .max))
            }
        }
        try self.send(bytes: frames.bytes)
    }

    /// Sends raw bytes.
    public func send(bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let result = bytes.withUnsafeBytes { bytes -> TLSResult in
                let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
                if let tls = self.tls { return tls.write(rest) }
                switch Socket(descriptor: self.descriptor).write(rest) {
                case .bytes(let count): return .bytes(count)
                case .wouldBlock: return .wantWrite
                case .endOfStream, .failed: return .endOfStream
                }
            }
            switch result {
            case .bytes(let count): sent += count
            case .wantRead: try self.wait(Int16(POLLIN))
            case .wantWrite: try self.wait(Int16(POLLOUT))
            case .endOfStream, .failed: throw TestFailure("the peer has closed the connection")
            }
        }
    }

    // MARK: Receiving

    /// The next event; nil at the end of the connection.
    public func next(within time: Duration = Deadline.defaultTimeout) throws -> Event? {
        try Self.wait(for: "a frame", among: [self], within: time) {
            self.firstEvent < self.events.count || self.isClosed
        }
        guard self.firstEvent < self.events.count else { return nil }
        self.firstEvent += 1
        return self.events[self.firstEvent - 1]
    }

    /// The texts among the received events.
    public var texts: [String] {
        self.events[self.firstEvent...].compactMap {
            if case .text(let text) = $0 { text } else { nil }
        }
    }

    /// The server's close frame, if it has sent one.
    public var closeEvent: Event? {
        self.events.last { if case .close = $0 { true } else { false } }
    }

    /// Reads from all peers until the condition holds, as long as messages arrive.
    ///
    /// - Parameter time: how long no message may arrive. All messages of a test may take longer on
    ///   a busy machine.
    public static func wait(
        for description: @autoclosure () -> String, among peers: [TestPeer],
        within time: Duration = Deadline.defaultTimeout, until condition: () throws -> Bool
    ) throws {
        var deadline = Deadline(within: time)
        while try !condition() {
            var entries = peers.map {
                pollfd(fd: $0.isClosed ? -1 : $0.descriptor, events: Int16(POLLIN), revents: 0)
            }
            guard poll(&entries, nfds_t(entries.count), deadline.milliseconds) > 0 else {
                throw TestFailure("waited \(time) for \(description())")
            }
            for (index, entry) in entries.enumerated() where entry.revents != 0 {
                let known = peers[index].events.count
                try peers[index].receiveNow()
                if peers[index].events[known...].contains(where: \.isMessage) {
                    deadline = Deadline(within: time)
                }
            }
        }
    }

    /// Reads available input without waiting.
    public func receiveNow() throws {
        self.receive()
        try self.parse()
    }

    /// Removes and returns the received texts.
    public func drainTexts() -> [String] {
        defer { self.firstEvent = self.events.count }
        return self.texts
    }

    private func receive() {
        var room = [UInt8](repeating: 0, count: 65_536)
        while true {
            let result = room.withUnsafeMutableBytes { room -> TLSResult in
                if let tls = self.tls { return tls.read(into: room) }
                switch Socket(descriptor: self.descriptor).read(into: room) {
                case .bytes(let count): return .bytes(count)
                case .wouldBlock: return .wantRead
                case .endOfStream, .failed: return .endOfStream
                }
            }
            switch result {
            case .bytes(let count): self.bytes += room[..<count]
            case .wantRead, .wantWrite: return
            case .endOfStream, .failed:
                self.isClosed = true
                return
            }
        }
    }

    private func parse() throws {
        try self.bytes.withUnsafeMutableBytes { bytes in
            while self.offset < bytes.count {
                guard
                    let input = try self.reader.next(
                        in: bytes, from: &self.offset,
                        limits: WebSocketLimits(frameBytes: 1 << 26, messageBytes: 1 << 26),
                        inflater: self.inflater)
                else { return }
                switch input {
                case .message(.text, let index):
                    self.events.append(.text(String(decoding: bytes[index], as: UTF8.self)))
                case .message(.binary, let index): self.events.append(.binary(Array(bytes[index])))
                case .assembledMessage, .fragment:
                    throw TestFailure("the server has fragmented a message")
                case .inflatedMessage:
                    self.compressedCount += 1
                    self.events.append(.text(String(decoding: self.inflater.output, as: UTF8.self)))
                case .ping(let index): self.events.append(.ping(Array(bytes[index])))
                case .pong(let index): self.events.append(.pong(Array(bytes[index])))
                case .close(let code, let reason):
                    self.events.append(
                        .close(
                            code: code?.rawValue,
                            reason: String(decoding: bytes[reason], as: UTF8.self)))
                }
            }
        }
        self.bytes.removeFirst(self.offset)
        self.offset = 0
    }
}
