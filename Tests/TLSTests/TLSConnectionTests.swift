import TLS
import TestKit
import TestTraits
import Testing

@Suite("A TLS connection", .programs, .ownThread)
struct TLSConnectionTests {
    private let certificates: TestCertificates
    private let server: TLSContext
    private let client: TLSContext

    init() throws {
        self.certificates = try TestCertificates()
        self.server = try TLSContext(
            serverCertificate: self.certificates.certificate, key: self.certificates.key)
        self.client = try TLSContext(clientTrusting: self.certificates.authority)
    }

    private func open(_ link: SocketPair) throws -> TLSPair {
        var pair = try TLSPair(link, self.server, self.client)
        pair.performHandshake()
        try #require(pair.clientProgress == .done && pair.serverProgress == .done)
        return pair
    }

    /// Bytes with a period that no record or buffer has.
    private static func pattern(_ count: Int, _ factor: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 * factor + $0 / 251) }
    }

    @Test(
        "transfers a megabyte both ways through small buffers, with retries from other addresses"
    )
    func bothWays() throws {
        let link = SocketPair(bufferBytes: 4096)
        let pair = try self.open(link)
        let sides = [
            (pair.client, pair.server, Self.pattern(1 << 20, 7)),
            (pair.server, pair.client, Self.pattern(1 << 20, 13)),
        ]
        var sent = [0, 0]
        var received: [[UInt8]] = [[], []]
        var refusals = 0
        var turns = 0
        while received[0].count < 1 << 20 || received[1].count < 1 << 20 {
            turns += 1
            try #require(turns < 100_000)
            for (side, (writer, reader, bytes)) in sides.enumerated() {
                writing: while sent[side] < bytes.count {
                    // Each attempt uses a copy at another address, and a longer one than before.
                    switch writer.send(
                        bytes[sent[side]..<min(sent[side] + 20_000 + turns, bytes.count)])
                    {
                    case .bytes(let count): sent[side] += count
                    case .wantWrite:
                        refusals += 1
                        break writing
                    case let other:
                        Issue.record("\(other)")
                        return
                    }
                }
                while case (.bytes, let bytes) = reader.receive(5000) { received[side] += bytes }
            }
        }
        #expect(received[0] == sides[0].2)
        #expect(received[1] == sides[1].2)
        #expect(refusals > 10)
    }

    @Test("writes at most one record per call and returns its length")
    func partialWrites() throws {
        let link = SocketPair()
        let pair = try self.open(link)
        #expect(pair.server.send(Self.pattern(40_000, 3)) == .bytes(16_384))
    }

    @Test("returns the buffered data before it needs more")
    func smallReads() throws {
        let link = SocketPair()
        let pair = try self.open(link)
        #expect(pair.server.send(Array("hello".utf8)) == .bytes(5))
        #expect(pair.client.receive(2).1 == Array("he".utf8))
        #expect(pair.client.receive(2).1 == Array("ll".utf8))
        #expect(pair.client.receive(2).1 == Array("o".utf8))
        #expect(pair.client.receive(2).0 == .wantRead)
    }

    @Test("ends for the peer after close, which may be called twice")
    func closing() throws {
        let link = SocketPair()
        let pair = try self.open(link)
        #expect(pair.server.send(Array("bye".utf8)) == .bytes(3))
        pair.server.close()
        pair.server.close()
        #expect(pair.server.send([1]) == .endOfStream)
        #expect(pair.client.receive().1 == Array("bye".utf8))
        #expect(pair.client.receive().0 == .endOfStream)
        pair.client.close()
    }

    @Test("ends for the peer when the socket is closed without an alert")
    func closedWithoutAlert() throws {
        let link = SocketPair()
        let pair = try self.open(link)
        // Reads the session tickets: closing a socket with unread data would reset the connection.
        #expect(pair.client.receive().0 == .wantRead)
        link.closeClient()
        #expect(pair.server.receive().0 == .endOfStream)
    }

    @Test("fails to write to a closed socket, and raises no signal")
    func brokenPipe() throws {
        let link = SocketPair()
        let pair = try self.open(link)
        link.closeClient()
        #expect(pair.server.send([1]) == .failed(.connectionFailed(reason: "Broken pipe")))
        #expect(pair.server.send([1]).error != nil)
    }

    @Test("fails for a forged record and sends nothing more")
    func forgedRecord() throws {
        let link = SocketPair()
        let pair = try self.open(link)
        link.sendFromClient([23, 3, 3, 0, 32] + [UInt8](repeating: 9, count: 32))
        guard case .failed(.connectionFailed) = pair.server.receive().0 else {
            Issue.record("A forged record was accepted.")
            return
        }
        #expect(pair.server.receive().0.error != nil)
        #expect(pair.server.send([1]).error != nil)
    }

    @Test("rejects a record in which any bit is flipped")
    func flippedBits() throws {
        var bit = 0
        var bits = 1
        while bit < bits {
            let (left, right) = (SocketPair(), SocketPair())
            var pair = try TLSPair([left, right], self.server, self.client)
            pair.performHandshake(rounds: 100) {
                right.sendFromClient(SocketPair.read(from: left.server, atMost: 1 << 16))
                left.sendFromServer(SocketPair.read(from: right.client, atMost: 1 << 16))
            }
            try #require(pair.serverProgress == .done)
            #expect(pair.client.send(Array("hello".utf8)) == .bytes(5))
            var record = SocketPair.read(from: left.server, atMost: 1 << 16)
            bits = record.count * 8
            record[bit / 8] ^= 1 << UInt8(bit % 8)
            right.sendFromClient(record)
            let result = pair.server.receive().0
            // If the length in the record grew, the reader waits for more bytes.
            #expect(result.error != nil || result == .wantRead, "bit \(bit): \(result)")
            bit += 1
        }
        #expect(bits == (5 + 5 + 1 + 16) * 8)
    }

    @Test("transfers nothing before its handshake")
    func beforeHandshake() throws {
        let link = SocketPair()
        let connection = try TLSConnection(accepting: link.server, self.server)
        #expect(
            connection.receive().0
                == .failed(.connectionFailed(reason: "the handshake is not complete")))
        #expect(
            connection.send([1])
                == .failed(.connectionFailed(reason: "the handshake is not complete")))
        connection.close()
        #expect(link.receivedByClient().isEmpty)
    }
}
