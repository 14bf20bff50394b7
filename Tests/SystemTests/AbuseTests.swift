import Glibc
import TestKit
import TestTraits
import Testing

/// A raw request and its expected status.
struct RequestCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let status: Int

    init(_ name: String, _ text: String, _ status: Int = 400) {
        self.testDescription = name
        self.text = text
        self.status = status
    }
}

private let ambiguousRequests = [
    RequestCase("bare line feeds", "GET /api/health HTTP/1.1\nHost: a\n\n"),
    RequestCase("a space before a colon", "GET /api/health HTTP/1.1\r\nHost : a\r\n\r\n"),
    RequestCase(
        "two framings of the body",
        "POST /api/health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    RequestCase(
        "two lengths",
        "POST /api/health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    RequestCase("a folded line", "GET /api/health HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    RequestCase("two hosts", "GET /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    RequestCase("no host", "GET /api/health HTTP/1.1\r\n\r\n"),
    RequestCase("two spaces", "GET  /api/health HTTP/1.1\r\nHost: a\r\n\r\n"),
]

private let refusedRequests = [
    RequestCase("an unknown path", "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    RequestCase(
        "a path of WebSockets without an upgrade",
        "GET /ws/chats/ HTTP/1.1\r\nHost: a\r\n\r\n", 426),
    RequestCase(
        "another method", "POST /api/health HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405),
    RequestCase(
        "the metrics, on the clients' port", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    RequestCase(
        "a long path", "GET /\(String(repeating: "x", count: 20_000)) HTTP/1.1\r\nHost: a\r\n\r\n",
        414),
    RequestCase(
        "a long field",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 20_000))\r\n\r\n", 431),
    RequestCase(
        "a long body", "GET /api/health HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", 413
    ),
]

/// Bytes that violate RFC 6455, and the expected close code.
struct FrameCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let code: UInt16
}

private let brokenFrames = [
    FrameCase(testDescription: "not masked", bytes: [0x81, 0x01, 0x41], code: 1002),
    FrameCase(
        testDescription: "compressed without agreement", bytes: [0xC1, 0x80, 0, 0, 0, 0],
        code: 1002),
    FrameCase(
        testDescription: "an unknown opcode", bytes: [0x83, 0x80, 0, 0, 0, 0], code: 1002),
    FrameCase(
        testDescription: "a continuation without a start", bytes: [0x80, 0x80, 0, 0, 0, 0],
        code: 1002),
    FrameCase(testDescription: "a long ping", bytes: [0x89, 0xFE, 0x00, 0x7E], code: 1002),
    FrameCase(
        testDescription: "text that is not UTF-8", bytes: [0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28],
        code: 1007),
    FrameCase(
        testDescription: "half a close code", bytes: [0x88, 0x81, 0, 0, 0, 0, 0x03], code: 1002),
]

@Suite("A node resists abuse:", .programs, .ownThread)
struct AbuseTests {
    @Test(
        "a client that never reads is closed with 1013, without effect on others, and can resume",
        .long)
    func slowReader() throws {
        // A client that never reads also answers no ping. On a slow machine, the default idle limit
        // could close it first.
        let server = try ConfabServer([
            "--limit", "outbound-bytes=65536", "--limit", "message-burst=1000", "--limit",
            "idle-seconds=3600",
        ])
        let writer = try server.connect("writer")
        let otherClients = try (0..<1000).map { try server.connect("other \($0)") }
        let slowClient = try server.connect("slow", receiveBytes: 4096)
        for client in otherClients + [writer, slowClient] { try client.synchronize() }

        let content = String(repeating: "x", count: 16_000)
        var (count, last) = (0, 0)
        var isClosed = false
        while !isClosed {
            count += 1
            try #require(count < 500, "the buffers of both kernels cannot be so large")
            #expect(try writer.post(content)["id"] == String(count))
            // Apart from presence events, all clients receive every message at once and in order.
            for other in otherClients {
                #expect(try other.next("chat_message").object("message")?["id"] == String(count))
                guard !isClosed, server.process.errors.text.contains("slow reader closed") else {
                    continue
                }
                // Read at once, because the server waits only a few seconds for the close
                // handshake.
                isClosed = true
                #expect(try self.readToClose(slowClient) { last = $0 } == 1013)
            }
        }
        #expect(last < count)
        let back = try server.connect("slow", query: "after=\(last)")
        for number in (last + 1)...count {
            #expect(try back.next("chat_message").object("message")?["id"] == String(number))
        }
    }

    /// Reads messages to the end of the connection, and returns the close code.
    private func readToClose(_ client: ConversationClient, _ message: (Int) -> Void) throws
        -> UInt16?
    {
        while true {
            switch try client.socket.next() {
            case .text(let frame):
                let event = try JSONObject(frame)
                if event["type"] == "chat_message" {
                    message(Int(event.object("message")?["id"] ?? "") ?? 0)
                }
            case .close(let code, _): return code
            case .end: return nil
            default: continue
            }
        }
    }

    /// 10,000, or fewer if the limit of open files is lower. The test process itself needs few.
    private func silentConnectionCount() -> Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return min(10_000, Int(clamping: limit.rlim_cur) - 500)
    }

    @Test(
        "10,000 silent connections are closed in time and cost little memory", .long
    )
    func silentConnections() throws {
        let server = try ConfabServer([
            "--limit", "header-seconds=3", "--limit", "connects-per-second=1000000",
        ])
        let client = try server.connect("alice")
        try client.synchronize()
        let before = try server.residentBytes()

        let silentConnections = try (0..<self.silentConnectionCount()).map { _ in
            try ByteStream(port: server.port)
        }
        try client.post("in between")
        let perConnection = (try server.residentBytes() - before) / silentConnections.count

        // The address sanitizer retains freed memory and pads allocations, so this limit does not
        // apply.
        if getenv("ASAN_OPTIONS") == nil {
            #expect(perConnection < 4096, "\(perConnection) bytes for each")
        }
        for stream in silentConnections {
            #expect(stream.readToEnd(within: Deadline.defaultTimeout))
        }
        try client.post("afterwards")
    }

    @Test("a request that arrives byte by byte is answered with 408", .long)
    func slowHeader() throws {
        let server = try ConfabServer(["--limit", "header-seconds=3"])
        let stream = try ByteStream(port: server.port)
        try self.drip(
            "GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                + String(repeating: "X-Slow: yes\r\n", count: 100), to: stream)
        #expect(try HTTPReply(from: stream).status == 408)
    }

    @Test("a body that arrives byte by byte is answered with 408", .long)
    func slowBody() throws {
        let server = try ConfabServer(["--limit", "body-seconds=3"])
        let stream = try ByteStream(port: server.port)
        try stream.send(
            "GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n")
        try self.drip(String(repeating: "b", count: 1000), to: stream)
        #expect(try HTTPReply(from: stream).status == 408)
    }

    /// Sends 20 bytes per second until there is a response.
    private func drip(_ text: String, to stream: ByteStream) throws {
        for byte in Array(text.utf8) {
            guard (try? stream.send([byte])) != nil else { return }
            if (try? stream.peek(atLeast: 1, within: .milliseconds(50))) != nil { return }
        }
    }

    @Test("a silent WebSocket is closed with 1001", .long)
    func idleWebSocket() throws {
        // Long enough that pings are answered in time even if the machine pauses.
        let server = try ConfabServer(["--limit", "idle-seconds=8"])
        let answering = try server.connect("answering")
        let silentClient = try server.connect("silent")
        silentClient.socket.stopAnsweringPings()
        // Heartbeats are sent with the pings, twice per idle period.
        for _ in 0..<3 { _ = try answering.next("heartbeat") }
        #expect(
            try silentClient.closeEvent()
                == .close(code: 1001, reason: "nothing was heard for 8.0 seconds"))
        try answering.post("still here")
    }

    @Test("an endless frame does not keep a WebSocket open", .long)
    func endlessFrame() throws {
        let server = try ConfabServer(["--limit", "idle-seconds=3"])
        let client = try server.connect("dripping")
        try client.synchronize()
        let frame = RawWebSocketClient.frame(
            opcode: 1, Array(repeating: UInt8(ascii: "x"), count: 1000))
        for byte in frame.prefix(600) {
            guard (try? client.socket.stream.send([byte])) != nil else { break }
            if client.socket.stream.readToEnd(within: .milliseconds(50)) { break }
        }
        #expect(client.socket.stream.isClosed, "it was kept for thirty seconds")
    }

    @Test("without file descriptors, accepting pauses, is logged, and continues later")
    func descriptors() throws {
        let server = try ConfabServer(["--loops", "1"], openFiles: 64)
        let client = try server.connect("alice")
        try client.synchronize()
        var streams = try (0..<100).map { _ in try ByteStream(port: server.port) }
        try server.process.errors.line(with: "no file descriptors left")

        try client.post("who is inside talks on")
        for stream in streams { stream.close() }
        streams.removeAll()

        try server.connect("bob").post("and others come in again")
    }

    @Test("a connection above the limit is answered with 503 and Retry-After")
    func tooManyConnections() throws {
        let server = try ConfabServer(["--limit", "connections=3"])
        let clients = try (0..<3).map { try server.connect("user \($0)") }
        for client in clients { try client.synchronize() }
        let path = server.path(to: "lobby", token: try ConfabServer.token(for: "late"))

        let refusal = try RawWebSocketClient.refusal(of: path, port: server.port)

        #expect(refusal.status == 503)
        #expect(refusal.fields["retry-after"] != nil)
        try clients[0].socket.close()
        let late = try Deadline.wait(for: "room") { try? server.connect("late") }
        try late.post("hello")
    }

    @Test("the echo returns large frames without counting as a slow reader", .long)
    func echo() throws {
        let server = try ConfabServer(["--echo-path", "/_echo", "--limit", "frame-bytes=8388608"])
        let socket = try RawWebSocketClient("/_echo", port: server.port, receiveBytes: 65_536)
        try socket.send("grüß dich")
        #expect(try socket.next() == .text("grüß dich"))
        try socket.send(opcode: 2, [0, 255], isFinal: false)
        try socket.send(opcode: 9, [1])
        try socket.send(opcode: 0, [128])
        #expect(try socket.next() == .pong([1]))
        #expect(try socket.next() == .binary([0, 255, 128]))

        // More than the limit of a connection's buffer; the client reads only after sending all of
        // it.
        let large = [UInt8](repeating: 7, count: 4 << 20)
        try socket.send(opcode: 2, large)
        try socket.send("afterwards")
        guard case .binary(let bytes) = try socket.next() else { throw TestFailure("no echo") }
        #expect(bytes.count == large.count)
        #expect(try socket.next() == .text("afterwards"))
    }

    @Test("a frame above the limit closes the connection with 1009", .long)
    func tooLongFrame() throws {
        let server = try ConfabServer(["--limit", "frame-bytes=2048"])
        let client = try server.connect("alice")
        try client.synchronize()
        try client.socket.send(opcode: 1, Array(repeating: UInt8(ascii: " "), count: 3000))
        guard case .close(let code, _) = try client.closeEvent() else {
            throw TestFailure("no close frame")
        }
        #expect(code == 1009)

        let fragments = try server.connect("alice")
        try fragments.synchronize()
        for number in 0..<3 {
            try fragments.socket.send(
                opcode: number == 0 ? 1 : 0, Array(repeating: UInt8(ascii: " "), count: 1000),
                isFinal: false)
        }
        guard case .close(let second, _) = try fragments.closeEvent() else {
            throw TestFailure("no close frame")
        }
        #expect(second == 1009)
    }

    @Test(
        "an invalid frame closes the connection with the right code", .long,
        arguments: brokenFrames)
    func brokenFrame(_ frame: FrameCase) throws {
        let server = try ConfabServer()
        let client = try server.connect("alice")
        try client.synchronize()
        try client.socket.stream.send(frame.bytes)
        guard case .close(let code, _) = try client.closeEvent() else {
            throw TestFailure("no close frame")
        }
        #expect(code == frame.code)
    }

    @Test(
        "ambiguous requests are rejected and close the connection", .long,
        arguments: ambiguousRequests)
    func ambiguousRequest(_ request: RequestCase) throws {
        let server = try ConfabServer()
        #expect(try self.answer(of: server, to: request).readToEnd())
    }

    @Test(
        "invalid requests are answered with an error that names the problem", .long,
        arguments: refusedRequests)
    func refusal(_ request: RequestCase) throws {
        let server = try ConfabServer()
        _ = try self.answer(of: server, to: request)
        #expect(try server.health().status == 200)
    }

    private func answer(of server: ConfabServer, to request: RequestCase) throws -> ByteStream {
        let stream = try ByteStream(port: server.port)
        try stream.send(request.text)
        let reply = try HTTPReply(from: stream)
        #expect(reply.status == request.status)
        #expect(try JSONObject(reply.body)["error"]?.isEmpty == false)
        return stream
    }

    @Test("pipelined requests are answered in order", .long)
    func pipelining() throws {
        let server = try ConfabServer()
        let stream = try ByteStream(port: server.port)
        let get = "GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n"
        try stream.send(get + "HEAD /api/health HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try HTTPReply(from: stream).status == 200)
        // The response to HEAD has a Content-Length but no body.
        #expect(try stream.line() == "HTTP/1.1 200 OK")
        while let line = try stream.line(), !line.isEmpty {}
        try stream.send(get)
        #expect(try HTTPReply(from: stream).status == 200)
    }
}

extension ConfabServer {
    /// The resident memory of the process.
    fileprivate func residentBytes() throws -> Int {
        let status = try String(contentsOfProcFile: "/proc/\(self.process.id)/status")
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kilobytes = line.split(separator: " ").compactMap({ Int($0) }).first
        else { throw TestFailure("no VmRSS") }
        return kilobytes * 1024
    }
}

extension String {
    fileprivate init(contentsOfProcFile path: String) throws {
        guard let file = fopen(path, "r") else { throw TestFailure("\(path) cannot be read") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        self = String(decoding: bytes[..<count], as: UTF8.self)
    }
}
