import Bytes
import ChatEngine
import Identity
import Testing

@testable import ClusterWire

@Suite("A cluster key")
struct ClusterKeyTests {
    @Test("has at least 32 bytes")
    func length() {
        #expect(ClusterKey(secret: [UInt8](repeating: 1, count: 31)) == nil)
        #expect(ClusterKey(secret: [UInt8](repeating: 1, count: 32)) != nil)
    }

    @Test(
        "from a token secret is the same on every node, and differs by cluster and secret")
    func derived() throws {
        let secret = [UInt8](repeating: 7, count: 32)
        let key = ClusterKey(derivedFrom: secret, cluster: "blue")
        let bytes = NodePacket.bytes([], key: key)
        #expect(
            try NodePacket.read(bytes, key: ClusterKey(derivedFrom: secret, cluster: "blue"))
                .envelopes.isEmpty)
        let others = [
            ClusterKey(derivedFrom: secret, cluster: "green"),
            ClusterKey(derivedFrom: secret + [7], cluster: "blue"),
            ClusterKey(secret: secret)!,
        ]
        for other in others {
            #expect(throws: NodePacketError.notAuthentic) { try NodePacket.read(bytes, key: other) }
        }
        // HMAC-SHA-256(secret, "confab cluster key v1 blue"), as any tool would compute it.
        let made = ClusterKey(
            secret: Array("confab cluster key v1 blue".utf8).withUnsafeBytes {
                HMACKey(secret).sign($0)
            })!
        #expect(NodePacket.bytes([], key: made) == bytes)
    }

    @Test("signs with HMAC-SHA-256, truncated to 16 bytes")
    func standard() {
        // RFC 4231, test case 7, with the longest of its keys.
        let key = ClusterKey(secret: [UInt8](repeating: 0xAA, count: 131))!
        let text =
            "This is a test using a larger than block-size key and a larger than block-size data. "
            + "The key needs to be hashed before being used by the HMAC algorithm."
        var buffer = ByteBuffer(Array(text.utf8))
        key.seal(&buffer, from: 0)
        #expect(Hex.encode(buffer.bytes.suffix(16)) == "9b09ffa71b942fcb27635fbcd5b0e944")
        #expect(buffer.bytes.withUnsafeBytes { key.isSealed($0) })
    }

    @Test("is never printed")
    func secrecy() {
        var dumped = ""
        dump(ClusterKey.sample, to: &dumped)
        #expect(dumped == "- a cluster key\n")
        #expect(
            "\(ClusterKey.sample) \(String(reflecting: ClusterKey.sample))"
                == "a cluster key a cluster key")
    }
}
