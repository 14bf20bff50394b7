import Foundation
import TestKit
import TestTraits
import Testing

/// Redis' data on disk is damaged while Redis is down. Redis either reports the damage, or loses
/// data that the owner writes again. A history never has a gap.
@Suite("A Redis whose append-only file is damaged", .programs, .serialized, .ownThread)
struct DamagedRedisTests {
    private let redis: RedisServer
    private let confab: ConfabServer

    init() throws {
        self.redis = try RedisServer([
            "--appendonly", "yes", "--appendfsync", "always", "--aof-load-truncated", "yes",
        ])
        self.confab = try ConfabServer(["--store", self.redis.url, "--node-id", "n1"])
    }

    /// Kills Redis and changes the last file that it wrote.
    private func damage(_ change: (inout Data) -> Void) throws {
        try self.redis.crash()
        let folder = self.redis.folder.file("appendonlydir")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
            $0.hasSuffix(".incr.aof")
        }.sorted()
        let file = URL(fileURLWithPath: "\(folder)/\(try #require(names.last))")
        var data = try Data(contentsOf: file)
        change(&data)
        try data.write(to: file)
    }

    private static let thirty = (1...30).map { "message \($0)" }

    private func history(of talker: ConversationClient) throws -> [String] {
        try talker.send(#"{"action":"fetch_messages","after_id":"0","limit":100}"#)
        let messages = try talker.next("messages_fetched").objects("messages")
        #expect(messages?.map { $0["id"] } == messages?.indices.map { "\($0 + 1)" })
        return messages?.compactMap { $0["content"] } ?? []
    }

    @Test("loses a truncated tail, and the owner writes it again")
    func cutTail() throws {
        let alice = try self.confab.connect("alice")
        for message in Self.thirty { try alice.post(message) }
        try self.damage { $0.removeLast($0.count / 3) }
        try self.redis.restart()

        try Deadline.wait(
            for: "a send to be stored",
            untilTrue: { (try? alice.post("again", as: "again")) != nil })
        #expect(try self.history(of: alice) == Self.thirty + ["again"])
    }

    @Test(
        "does not start with an invalid command, and sends fail until the file is repaired", .long
    )
    func flippedBit() throws {
        let alice = try self.confab.connect("alice")
        for message in Self.thirty { try alice.post(message) }
        var flipped = 0
        let flip = { (data: inout Data) in
            // The marker of a command, not a text: Redis would not notice another letter in a text.
            let marker = Data("\r\n*".utf8)
            flipped = data.range(of: marker, in: data.count / 2..<data.count)?.upperBound ?? 0
            data[flipped - 1] ^= 0x40
        }
        try self.damage(flip)
        #expect(flipped > 0)
        #expect(throws: TestFailure.self) { try self.redis.restart() }

        try alice.sendMessage("meanwhile", as: "meanwhile")
        let refusal = try alice.next("message.failed")
        #expect(refusal["local_id"] == "meanwhile")
        #expect(refusal["error"] == "this could not be stored; try again")

        try self.damage { $0[flipped - 1] ^= 0x40 }
        try self.redis.restart()
        try Deadline.wait(
            for: "a send to be stored",
            untilTrue: { (try? alice.post("meanwhile", as: "meanwhile")) != nil })
        #expect(try self.history(of: alice) == Self.thirty + ["meanwhile"])
    }
}
