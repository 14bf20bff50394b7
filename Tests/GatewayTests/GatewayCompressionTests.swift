import ChatModel
import Configuration
import Gateway
import GatewayTestSupport
import HTTPWire
import TestKit
import TestTraits
import Testing

@Suite("Compression", .ownThread)
struct GatewayCompressionTests {
    private let text = String(repeating: "a text that is well worth to be compressed, ", count: 50)

    @Test("works in both directions, in whole messages and in fragments")
    func bothWays() throws {
        let node = try TestNode()
        let peer = try TestPeer("/echo", port: node.port, compresses: true)
        for fragments in [1, 2, 7] {
            try peer.send(self.text, compressed: true, fragments: fragments)
            #expect(try peer.next() == .text(self.text))
        }
        #expect(peer.compressedCount == 3)
        // Neither side compresses short messages.
        try peer.send("short")
        #expect(try peer.next() == .text("short"))
        #expect(peer.compressedCount == 3)
    }

    @Test("is used only by the clients that negotiated it")
    func mixed() throws {
        let node = try TestNode()
        let path = try TestNode.path("ann", in: "room")
        let peers = try [false, true, false, true].map {
            try TestPeer(path, port: node.port, compresses: $0)
        }
        try node.waitForConnections(4)
        try peers[0].send(#"{"action":"send_message","content":"\#(self.text)"}"#)
        try TestPeer.wait(for: "everybody to get it", among: peers) {
            peers.allSatisfy { $0.texts.contains { $0.contains(self.text) } }
        }
        #expect(peers.map(\.compressedCount) == [0, 1, 0, 1])
    }

    @Test("ends with 1007 for invalid data, and with 1009 for data that inflates too far")
    func bad() throws {
        let node = try TestNode { $0.live.limits.frameBytes = 10_000 }
        let broken = try TestPeer("/echo", port: node.port, compresses: true)
        try broken.send(bytes: [0xC1, 0x83, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF])
        #expect(try broken.next()?.closeCode == 1007)
        let bomb = try TestPeer("/echo", port: node.port, compresses: true)
        try bomb.send(String(repeating: "0", count: 10_001), compressed: true)
        #expect(try bomb.next()?.closeCode == 1009)
        #expect(try bomb.next() == nil)
    }
}
