import ChatModel
import ClientTestSupport
import Configuration
import Gateway
import GatewayTestSupport
import TLS
import TestKit
import TestTraits
import Testing

@Suite("TLS on the client port", .programs, .ownThread)
struct GatewayTLSTests {
    private let certificates: TestCertificates
    private let context: TLSContext
    private let client: TLSContext

    init() throws {
        self.certificates = try TestCertificates()
        self.context = try TLSContext(
            serverCertificate: self.certificates.certificate, key: self.certificates.key)
        self.client = try TLSContext(clientTrusting: self.certificates.authority)
    }

    private func node(loops: Int = 1, _ change: (inout TestNode.NodeOptions) -> Void = { _ in })
        throws -> TestNode
    {
        try TestNode(loops: loops) { setup in
            setup.live.tls = self.context
            change(&setup)
        }
    }

    @Test(
        "carries WebSockets, with and without a handoff, with frames of every size",
        arguments: [1, 3])
    func frames(loops: Int) throws {
        let node = try self.node(loops: loops)
        let echo = try TestPeer("/echo", port: node.port, tls: self.client, compresses: true)
        for count in [0, 1, 125, 16_384, 16_385, 70_000, 300_000] {
            let text = String(repeating: "z", count: count)
            try echo.send(text, fragments: 3)
            #expect(try echo.next() == .text(text))
        }
        for number in 0..<6 {
            let peer = try TestPeer(
                TestNode.path("ann", in: "room-\(number)"), port: node.port, tls: self.client)
            try peer.send(#"{"action":"send_message","content":"hello"}"#)
            guard case .text(let text)? = try peer.next() else {
                Issue.record("no message came")
                return
            }
            #expect(text.contains("hello"))
        }
    }

    @Test("delivers the close reason, whatever the peer still sends")
    func violation() throws {
        let node = try self.node()
        let peer = try TestPeer("/echo", port: node.port, tls: self.client)
        try peer.send("good")
        try peer.send(bytes: [0x81, 1, 0x41] + [UInt8](repeating: 0x55, count: 500_000))
        #expect(try peer.next() == .text("good"))
        #expect(try peer.next()?.closeCode == 1002)
        #expect(try peer.next() == nil)
    }

    @Test("closes a slow reader with 1013 after whole frames")
    func slowReader() throws {
        let node = try self.node { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.outboundBytes = 300_000
        }
        let slow = try TestPeer(
            TestNode.path("slow", in: "room"), port: node.port, tls: self.client,
            receiveBytes: 65_536)
        let author = try TestPeer(
            TestNode.path("ann", in: "room"), port: node.port, tls: self.client)
        try node.waitForConnections(2)
        let content = String(repeating: "m", count: 15_000)
        var posted = 0
        var received = 0
        while posted < 2000, try !node.hasLogged("slow reader closed") {
            for _ in 0..<5 { try author.send(ConversationsFrames.message(content)) }
            posted += 5
            try TestPeer.wait(for: "one's own messages", among: [author]) {
                received += ConversationsFrames.ids(of: author.drainTexts()).count
                return received == posted
            }
        }
        #expect(posted < 2000)
        try TestPeer.wait(for: "the end", among: [slow]) { slow.isClosed }
        #expect(slow.closeEvent?.closeCode == 1013)
        let messages = slow.texts.filter { $0.contains("chat_message") }
        #expect(messages.allSatisfy { $0.contains(content) && $0.hasSuffix("}") })
    }

    @Test(
        "serves the new certificate after a reload, and keeps open connections")
    func reload() throws {
        let node = try self.node()
        let before = try TestPeer("/echo", port: node.port, tls: self.client)
        let other = try TestCertificates()
        var live = node.live
        live.tls = try TLSContext(serverCertificate: other.certificate, key: other.key)
        node.gateway.reload(live)
        let client = try TLSContext(clientTrusting: other.authority)
        try Deadline.wait(
            for: "the new certificate",
            untilTrue: { (try? TestPeer("/echo", port: node.port, tls: client)) != nil })
        #expect(throws: TestFailure.self) {
            try TestPeer("/echo", port: node.port, tls: self.client)
        }
        try before.send("still here")
        #expect(try before.next() == .text("still here"))
    }

    @Test("times out a missing handshake, and closes on bytes that are not TLS")
    func badHandshake() throws {
        let node = try self.node { $0.live.limits.header = .milliseconds(300) }
        let silent = try ByteStream(port: node.port)
        let plain = try ByteStream(port: node.port)
        try plain.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(silent.readToEnd() && plain.readToEnd())
        for stream in [silent, plain] { stream.close() }
        try node.waitForConnections(0)
    }
}
