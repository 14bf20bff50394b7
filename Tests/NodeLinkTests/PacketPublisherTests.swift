import Bytes
import ChatEngine
import ChatModel
import ClusterWire
import EventLoop
import RedisClient
import Testing

@testable import NodeLink

@Suite("A packet publisher")
struct PacketPublisherTests {
    private final class SilentRedisUser: RedisClientUser {
        func redisReplied(_ reply: RedisReply, to tag: CommandTag) {}
        func redisFailed(_ error: RedisError, tag: CommandTag) {}
        func redisChanged(_ state: RedisClient.State) {}
    }

    private static let key = ClusterKey(secret: Array(repeating: 7, count: 32))!

    /// An envelope of node 1 with items of about 1000 bytes.
    private static func envelope(
        _ number: UInt64, to node: UInt64, loop: UInt16 = 0, itemCount: Int = 1
    ) -> Envelope {
        let id = ByteString(String(repeating: "x", count: 990))
        let item = Envelope.Item.reattach(ConversationKey(tenant: "t", id: id))
        return Envelope(
            from: LoopID(incarnation: 1, loop: 0), to: LoopID(incarnation: node, loop: loop),
            number: number, view: 3, items: Array(repeating: item, count: itemCount))
    }

    /// Publishes and returns the channel and the envelopes' numbers of each packet.
    private static func packets(_ envelopes: [Envelope]) throws -> [String] {
        let loop = try EventLoop.start(name: "test")
        defer { loop.stop() }
        let user = SilentRedisUser()
        let client = RedisClient(
            try RedisSettings(RedisURL("redis://127.0.0.1:1")), on: loop, seed: 1, user: user)
        var publisher = PacketPublisher(
            redisKeys: ClusterRedisKeys(cluster: "p"), key: Self.key, client: client)
        let publications = publisher.publications(of: envelopes)
        return try publications.map { publication in
            let node = try #require(
                envelopes.first {
                    publication.channel == ClusterRedisKeys(cluster: "p").mailbox($0.to.incarnation)
                }
            ).to.incarnation
            var interning = KeyInterning()
            let packet = try NodePacket(
                publication.payload.span.bytes, for: node, key: Self.key, interning: &interning)
            #expect(packet.from == 1)
            let numbers = packet.envelopes.map { "\($0.number)" }.joined(separator: " ")
            return "\(publication.channel): \(numbers)"
        }
    }

    @Test("packs one packet for each receiving node, in the order of the envelopes")
    func receivers() throws {
        let packets = try Self.packets([
            Self.envelope(1, to: 2), Self.envelope(2, to: 35), Self.envelope(3, to: 2, loop: 1),
            Self.envelope(4, to: 3),
        ])
        #expect(packets == ["p:{n:2}:mail: 1 3", "p:{n:z}:mail: 2", "p:{n:3}:mail: 4"])
        #expect(try Self.packets([]) == [])
    }

    @Test(
        "starts another packet when one is full, and drops an envelope that fits in none",
        arguments: [
            // The size of each envelope, in tenths of a packet, and the numbers in each packet.
            ([4, 4, 4], ["1 2", "3"]),
            ([4, 12, 4], ["1", "3"]),
            // The packet that was begun for it leaves empty, like a probe.
            ([12], [""]),
        ])
    func fullPackets(sizes: [Int], packets: [String]) throws {
        let envelopes = sizes.enumerated().map { index, size in
            Self.envelope(
                UInt64(index + 1), to: 2, itemCount: NodePacket.byteLimit / 10_000 * size)
        }
        #expect(try Self.packets(envelopes) == packets.map { "p:{n:2}:mail: \($0)" })
    }
}
