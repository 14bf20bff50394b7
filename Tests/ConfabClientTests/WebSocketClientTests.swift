import ClientTestSupport
import EventLoop
import HTTPWire
import TLS
import TestTraits
import Testing

import class TestKit.TestCertificates

@testable import ConfabClient

/// A client on its own event loop, with a reaction to events.
///
/// The reaction runs on the loop, immediately: the client has timeouts, and a test may be delayed
/// by others.
private final class RecordingClient: EventLoopHandler {
    typealias EventAction =
        @Sendable (inout WebSocketClient, WebSocketClient.Event, inout [WebSocketClient.Event]) ->
        Void

    struct State {
        var client: WebSocketClient
        var events: [WebSocketClient.Event] = []
    }

    let state: LoopBound<State>
    let eventStream: AsyncStream<WebSocketClient.Event>
    private let eventContinuation: AsyncStream<WebSocketClient.Event>.Continuation
    private let onEvent: EventAction

    init(
        _ url: WebSocketURL, tls: TLSContext?, on loop: EventLoop,
        onEvent act: @escaping EventAction = { _, _, _ in }
    ) {
        self.onEvent = act
        self.state = LoopBound(
            State(client: WebSocketClient(on: loop, url: url, tls: tls)), on: loop)
        (self.eventStream, self.eventContinuation) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(1000))
    }

    func perform(_ work: @escaping @Sendable (inout State) -> Void) {
        self.state.loop.execute { self.state.with(work) }
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.state.with {
            $0.client.socketReady(token, readable: readable, writable: writable, into: &$0.events)
        }
    }

    func tick(now: MonotonicTime) {
        self.state.with { $0.client.tick(now: now, into: &$0.events) }
    }

    func turnEnding() {
        self.state.with { state in
            while !state.events.isEmpty {
                let events = state.events
                state.events = []
                for event in events where event != .bytesReceived {
                    self.eventContinuation.yield(event)
                    self.onEvent(&state.client, event, &state.events)
                }
            }
        }
    }

    func loopStopping() { self.eventContinuation.finish() }
}

@Suite("A WebSocket client", .ownThread)
struct WebSocketClientTests {
    /// Connects, runs `onEvent` for each event, and returns all events until the end.
    private func events(
        _ server: TestServer, host: String = "127.0.0.1", scheme: String = "ws",
        tls: TLSContext? = nil, port: UInt16? = nil,
        addresses: [SocketAddress]? = nil,
        onEvent act: @escaping RecordingClient.EventAction = { _, _, _ in }
    ) async throws -> [WebSocketClient.Event] {
        let port = port ?? server.port
        let url = try WebSocketURL("\(scheme)://\(host):\(port)/x")
        let loop = try EventLoop.start(name: "client", tickPeriod: .milliseconds(5))
        defer {
            loop.stop()
            loop.join()
            server.stop()
        }
        let probe = RecordingClient(url, tls: tls, on: loop, onEvent: act)
        loop.setHandler(probe)
        let addresses = try addresses ?? Resolver.resolveBlocking(host: "127.0.0.1", port: port)
        probe.perform { $0.client.connect(to: addresses, as: url, now: .now, into: &$0.events) }
        var seen: [WebSocketClient.Event] = []
        for await event in probe.eventStream {
            seen.append(event)
            if case .closed = event { break }
        }
        return seen
    }

    private func echo(tls: TLSContext? = nil) throws -> TestServer {
        try TestServer(tls: tls) { server, token, event in
            if case .text(let text) = event { server.send(text, to: token) }
        }
    }

    @Test(
        "sends, receives, and closes",
        arguments: ["hello", "", "Grüße 👋", String(repeating: "long ", count: 100_000)])
    func echo(text: String) async throws {
        let seen = try await self.events(self.echo()) { client, event, events in
            switch event {
            case .opened: client.send(text, into: &events)
            case .text: client.close(.normal, now: .now, into: &events)
            default: break
            }
        }
        #expect(seen == [.opened, .text(Array(text.utf8)), .closed(.closed(.normal, reason: ""))])
    }

    @Test("uses TLS, and verifies the server", .programs)
    func tls() async throws {
        let certificates = try TestCertificates()
        let server = try TLSContext(
            serverCertificate: certificates.certificate, key: certificates.key)
        let trusting = try TLSContext(clientTrusting: certificates.authority, offersHTTP: true)
        let text = String(repeating: "secret ", count: 30_000)
        let seen = try await self.events(
            self.echo(tls: server), host: "localhost", scheme: "wss", tls: trusting
        ) { client, event, events in
            switch event {
            case .opened: client.send(text, into: &events)
            case .text: client.close(.normal, now: .now, into: &events)
            default: break
            }
        }
        #expect(seen == [.opened, .text(Array(text.utf8)), .closed(.closed(.normal, reason: ""))])

        // An untrusted authority, and a name that is not in the certificate.
        let strange = try TLSContext(clientTrusting: nil, offersHTTP: true)
        for (host, context) in [("localhost", strange), ("example.test", trusting)] {
            let seen = try await self.events(
                self.echo(tls: server), host: host, scheme: "wss", tls: context)
            guard case .closed(.tls(.certificateNotAccepted))? = seen.last, seen.count == 1 else {
                Issue.record("\(seen)")
                return
            }
        }
    }

    @Test("reassembles fragments, and answers pings between them")
    func fragments() async throws {
        let pongs = ConcurrentRecorder<Bool>()
        let server = try TestServer { server, token, event in
            switch event {
            case .opened:
                // Two fragments with a pong and a ping between them, one byte at a time.
                let frames: [UInt8] = [
                    0x01, 3, 0x61, 0x62, 0x63, 0x8A, 0, 0x89, 2, 0x70, 0x71, 0x80, 1, 0x64,
                ]
                for byte in frames { server.send([byte], to: token) }
            case .pong:
                pongs.add(true)
                server.close(token, WebSocketCloseCode(rawValue: 4003), reason: "token expired")
            default: break
            }
        }
        let seen = try await self.events(server)
        #expect(
            seen == [
                .opened, .text(Array("abcd".utf8)),
                .closed(.closed(WebSocketCloseCode(rawValue: 4003), reason: "token expired")),
            ])
        #expect(pongs.all == [true])
    }

    @Test("reads the reason for a rejection even when its writes fail")
    func refusalWhileSending() async throws {
        for _ in 0..<20 {
            let server = try TestServer { server, token, event in
                if case .opened = event {
                    server.close(token, WebSocketCloseCode(rawValue: 4004), reason: "access denied")
                }
            }
            let seen = try await self.events(server) { client, event, events in
                if case .opened = event {
                    for _ in 0..<50 { client.send("much to say", into: &events) }
                }
            }
            #expect(
                seen.last
                    == .closed(.closed(WebSocketCloseCode(rawValue: 4004), reason: "access denied"))
            )
        }
    }

    @Test("reports a rejection of the handshake")
    func httpRefusal() async throws {
        let server = try TestServer(
            handshakeReply: { _ in
                .bytes(
                    "HTTP/1.1 403 Forbidden\r\nContent-Length: 19\r\n\r\n{\"error\":\"not you\"}")
            },
            onEvent: { _, _, _ in })
        #expect(try await self.events(server) == [.closed(.refused(.forbidden, reason: "not you"))])
    }

    @Test("ends a connection with malformed frames")
    func brokenFrames() async throws {
        let codes = ConcurrentRecorder<WebSocketCloseCode?>()
        let server = try TestServer { server, token, event in
            switch event {
            case .opened: server.send([0x81, 0x80, 0, 0, 0, 0], to: token)
            case .closing(let code): codes.add(code)
            default: break
            }
        }
        #expect(
            try await self.events(server) == [
                .opened, .closed(.protocolViolation(.maskedServerFrame)),
            ])
        #expect(codes.all.allSatisfy { $0 == .protocolError })
    }

    @Test("reports a connection that ends without a close frame")
    func drop() async throws {
        let server = try TestServer { server, token, event in
            if case .opened = event { server.drop(token) }
        }
        let seen = try await self.events(server)
        guard case .closed(.broken)? = seen.last else {
            Issue.record("\(seen)")
            return
        }
    }

    @Test("tries the next address when nothing listens on the first")
    func secondAddress() async throws {
        let server = try self.echo()
        let addresses = try ["127.0.0.9", "127.0.0.1"].map {
            try #require(SocketAddress(literal: $0, port: server.port))
        }
        let seen = try await self.events(server, addresses: addresses) { client, event, events in
            if case .opened = event { client.close(.normal, now: .now, into: &events) }
        }
        #expect(seen.first == .opened)
    }

    @Test("reports the address on which nothing listens")
    func refused() async throws {
        let seen = try await self.events(self.echo(), port: 1)
        #expect(seen == [.closed(.socket(.refused, endpoint: "127.0.0.1:1"))])
        guard case .closed(let error) = seen[0] else { return }
        #expect(error.description == "127.0.0.1:1 refuses the connection: nothing listens there.")
    }

    @Test("drops a silent server, after a ping")
    func silence() async throws {
        let server = try TestServer { _, _, _ in }
        let seen = try await self.events(server) { client, event, events in
            if case .opened = event {
                client.tick(now: .now.advanced(by: .seconds(36)), into: &events)
                client.tick(now: .now.advanced(by: .seconds(42)), into: &events)
            }
        }
        #expect(seen.count == 2)
        guard case .closed(.unresponsive(let seconds))? = seen.last else {
            Issue.record("\(seen)")
            return
        }
        #expect(seconds >= 5)
    }

    @Test("has a timeout for the handshake")
    func openTimeout() async throws {
        let server = try TestServer(
            handshakeReply: { _ in .bytes("HTTP/1.1 1") }, onEvent: { _, _, _ in })
        let loop = try EventLoop.start(name: "client", tickPeriod: .milliseconds(5))
        defer {
            loop.stop()
            loop.join()
            server.stop()
        }
        let url = try WebSocketURL("ws://127.0.0.1:\(server.port)/")
        let probe = RecordingClient(url, tls: nil, on: loop)
        loop.setHandler(probe)
        let address = try #require(SocketAddress(literal: "127.0.0.1", port: server.port))
        probe.perform {
            $0.client.connect(to: [address], as: url, now: .now, into: &$0.events)
            $0.client.tick(now: .now.advanced(by: .seconds(16)), into: &$0.events)
        }
        var notes = probe.eventStream.makeAsyncIterator()
        #expect(
            await notes.next() == .closed(.socket(.timedOut, endpoint: "127.0.0.1:\(server.port)")))
    }
}
