import Glibc
import TLS
import TestKit
import TestTraits
import Testing

@Suite("A TLS handshake", .programs, .ownThread)
struct TLSHandshakeTests {
    private let certificates: TestCertificates
    private let server: TLSContext
    private let client: TLSContext

    init() throws {
        self.certificates = try TestCertificates()
        self.server = try TLSContext(
            serverCertificate: self.certificates.certificate, key: self.certificates.key)
        self.client = try TLSContext(clientTrusting: self.certificates.authority, offersHTTP: true)
    }

    private func handshake(
        _ server: TLSContext? = nil, _ client: TLSContext? = nil, name: String = "localhost"
    ) throws -> TLSPair {
        var pair = try TLSPair(
            SocketPair(), server ?? self.server, client ?? self.client, name: name)
        pair.performHandshake()
        return pair
    }

    /// The server's response to bytes that our client would not send.
    private func answer(to bytes: [UInt8]) throws -> (progress: TLSProgress, bytes: [UInt8]) {
        let link = SocketPair()
        let connection = try TLSConnection(accepting: link.server, self.server)
        link.sendFromClient(bytes)
        let progress = connection.handshake()
        return (progress, link.receivedByClient())
    }

    /// The record of a fatal alert ends with its level and its number (RFC 8446 section 6).
    private static func isAlert(_ number: UInt8, _ bytes: [UInt8]) -> Bool {
        bytes.first == 21 && bytes.suffix(4) == [0, 2, 2, number]
    }

    @Test("succeeds with a certificate that a trusted authority has signed, in TLS 1.3")
    func success() throws {
        let pair = try self.handshake()
        #expect(pair.clientProgress == .done)
        #expect(pair.serverProgress == .done)
        #expect(pair.client.summary.hasPrefix("TLSv1.3 "))
        #expect(pair.client.handshake() == .done)
    }

    @Test("succeeds when every byte arrives separately")
    func singleBytes() throws {
        let (left, right) = (SocketPair(), SocketPair())
        var pair = try TLSPair([left, right], self.server, self.client)
        pair.performHandshake(rounds: 10_000) {
            for (from, to) in [(left.server, right.client), (right.client, left.server)] {
                let byte = SocketPair.read(from: from, atMost: 1)
                if !byte.isEmpty { _ = write(to, byte, 1) }
            }
        }
        #expect(pair.clientProgress == .done)
        #expect(pair.serverProgress == .done)
    }

    @Test(
        "accepts the names and addresses in the certificate",
        arguments: ["localhost", "LOCALHOST", "localhost.", "a.example.test", "127.0.0.1"])
    func rightName(name: String) throws {
        #expect(try self.handshake(name: name).clientProgress == .done)
    }

    @Test(
        "rejects a certificate for another name",
        arguments: [
            "elsewhere.test", "example.test", "a.b.example.test", "localhost.example.org",
            "127.0.0.2", "::1",
        ])
    func wrongName(name: String) throws {
        let pair = try self.handshake(name: name)
        guard case .certificateNotAccepted(let reason) = pair.clientProgress.error else {
            Issue.record("\(pair.clientProgress)")
            return
        }
        #expect(reason.contains("mismatch"), "\(reason)")
        #expect(pair.serverProgress.error != nil)
    }

    @Test(
        "does not start with an invalid name",
        arguments: ["", ".", "a\0b", String(repeating: "a", count: 300)])
    func noName(name: String) {
        let link = SocketPair()
        #expect(throws: TLSError.badServerName(name)) {
            try TLSConnection(connecting: link.client, to: name, self.client)
        }
    }

    @Test("rejects an expired certificate")
    func expired() throws {
        try self.certificates.makeServer("old", days: -1)
        let server = try TLSContext(
            serverCertificate: self.certificates.path("old.pem"),
            key: self.certificates.path("old.key"))
        #expect(
            try self.handshake(server).clientProgress
                == .failed(.certificateNotAccepted(reason: "certificate has expired")))
    }

    @Test("rejects an authority that the client does not trust")
    func unknownAuthority() throws {
        try self.certificates.makeAuthority("stranger")
        let stranger = try TLSContext(clientTrusting: self.certificates.path("stranger.pem"))
        let error = try self.handshake(nil, stranger).clientProgress.error
        #expect(error == .certificateNotAccepted(reason: "unable to get local issuer certificate"))
        let system = try TLSContext()
        #expect(try self.handshake(nil, system).clientProgress.error == error)
    }

    @Test("rejects a self-signed certificate")
    func selfSigned() throws {
        let server = try TLSContext(
            serverCertificate: self.certificates.authority,
            key: self.certificates.path("authority.key"))
        try self.certificates.makeAuthority("stranger")
        let stranger = try TLSContext(clientTrusting: self.certificates.path("stranger.pem"))
        #expect(
            try self.handshake(server, stranger).clientProgress
                == .failed(.certificateNotAccepted(reason: "self-signed certificate")))
    }

    @Test("accepts TLS 1.2 and selects http/1.1 at any position in the client's list")
    func olderClient() throws {
        let (progress, bytes) = try self.answer(
            to: ClientHello(applicationProtocols: ["h2", "http/1.1"]).record)
        #expect(progress == .wantRead)
        #expect(bytes.first == 22)
        #expect(bytes.firstRange(of: Array("http/1.1".utf8)) != nil)
    }

    @Test("needs no application protocol")
    func noProtocol() throws {
        #expect(try self.answer(to: ClientHello().record).progress == .wantRead)
        #expect(
            try self.handshake(nil, TLSContext(clientTrusting: self.certificates.authority))
                .clientProgress == .done)
    }

    @Test(
        "is rejected with an alert if the client offers only other protocols",
        arguments: [["h2"], ["http/1.0", "h2"], ["http/1"]])
    func otherProtocols(names: [String]) throws {
        let (progress, bytes) = try self.answer(to: ClientHello(applicationProtocols: names).record)
        #expect(progress.error != nil)
        #expect(Self.isAlert(120, bytes), "\(bytes)")
    }

    @Test("is rejected with an alert for TLS 1.1")
    func oldVersion() throws {
        let (progress, bytes) = try self.answer(
            to: ClientHello(version: 0x0302, ciphers: [0xC013, 0x002F]).record)
        #expect(progress == .failed(.handshakeFailed(reason: "unsupported protocol")))
        #expect(Self.isAlert(70, bytes), "\(bytes)")
    }

    @Test(
        "is rejected in TLS 1.2 without forward secrecy or with an unauthenticated cipher"
    )
    func weakCiphers() throws {
        // TLS_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
        // TLS_ECDH_anon_WITH_AES_128_CBC_SHA
        for cipher: UInt16 in [0x009C, 0xC009, 0xC018] {
            let (progress, bytes) = try self.answer(to: ClientHello(ciphers: [cipher]).record)
            #expect(progress.error != nil)
            #expect(Self.isAlert(40, bytes), "\(bytes)")
        }
    }

    @Test("fails cleanly for input that is not TLS")
    func garbage() throws {
        let request = Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
        #expect(
            try self.answer(to: request).progress
                == .failed(.handshakeFailed(reason: "http request")))
        // Longer than the longest record, because noise may begin like a record.
        for seed in 1...50 {
            let noise = (0..<40_000).map { UInt8(truncatingIfNeeded: ($0 + 1) * (seed * 37 + 11)) }
            #expect(try self.answer(to: noise).progress.error != nil, "\(seed)")
        }
        #expect(try self.answer(to: Array(ClientHello().record.prefix(40))).progress == .wantRead)
    }

    @Test("fails when the peer closes the socket during it, and so do all later calls")
    func closedByPeer() throws {
        let link = SocketPair()
        let connection = try TLSConnection(accepting: link.server, self.server)
        #expect(connection.handshake() == .wantRead)
        link.closeClient()
        #expect(
            connection.handshake()
                == .failed(.handshakeFailed(reason: "the peer has closed the connection")))
        #expect(connection.handshake().error != nil)
        #expect(connection.receive().0.error != nil)
        #expect(connection.send([1]).error != nil)
        connection.close()
    }

    @Test("that has failed does not affect others on the same thread")
    func isolation() throws {
        let pair = try self.handshake()
        #expect(try self.answer(to: Array("GET / HTTP/1.1\r\n\r\n".utf8)).progress.error != nil)
        #expect(pair.server.receive().0 == .wantRead)
        #expect(try self.handshake().serverProgress == .done)
    }

    @Test("uses the new certificate after a reload, and existing connections keep theirs")
    func reload() throws {
        let link = SocketPair()
        var context: TLSContext? = try TLSContext(
            serverCertificate: self.certificates.certificate, key: self.certificates.key)
        var old = try TLSPair(link, #require(context), self.client)
        old.performHandshake()
        try self.certificates.makeAuthority("next")
        try self.certificates.makeServer("renewed", by: "next")
        context = try TLSContext(
            serverCertificate: self.certificates.path("renewed.pem"),
            key: self.certificates.path("renewed.key"))
        let trusting = try TLSContext(clientTrusting: self.certificates.path("next.pem"))
        #expect(try self.handshake(context, trusting).clientProgress == .done)
        #expect(try self.handshake(context).clientProgress.error != nil)
        #expect(old.server.send(Array("still here".utf8)) == .bytes(10))
        #expect(old.client.receive().1 == Array("still here".utf8))
    }
}
