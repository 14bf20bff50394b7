import Bytes
import TestKit
import Testing

@testable import NodeLink

extension AgentSuites {
    @Suite("An inspector of Redis")
    struct RedisInspectorTests {
        private static func inspector(_ fixture: AgentFixture) -> RedisInspector {
            RedisInspector(
                on: fixture.loop, redis: fixture.redis, redisKeys: fixture.redisKeys,
                logger: fixture.logger)
        }

        @Test(
            "knows where Redis keeps writes, and warns once about unsafe settings",
            arguments: [
                ([], "in the memory of Redis", 1),
                (
                    ["--save", "60 1"],
                    "in the memory of Redis, on its disk with the next snapshot", 1
                ),
                (["--appendonly", "yes", "--appendfsync", "always"], "on the disk of Redis", 0),
            ])
        func settings(options: [String], durability: String, warnings: Int) throws {
            let pubSub = ["--client-output-buffer-limit", "pubsub 64mb 32mb 60"]
            let fixture = try AgentFixture(try RedisServer(options + pubSub))
            let inspector = Self.inspector(fixture)
            var stored = fixture.run { inspector.durability }
            #expect(stored == nil)
            for _ in 0..<2 {
                fixture.run { inspector.checkSettings() }
                let info = ReplyList<RedisInspector.Info?>()
                // Its reply follows those of the check.
                inspector.info { info.add($0) }
                _ = try info.first()
            }
            stored = fixture.run { inspector.durability }
            #expect(stored == durability)
            #expect(fixture.count(ofLines: "redis setting unsafe") == warnings)
        }

        @Test("measures how long Redis takes for its INFO")
        func info() throws {
            let fixture = try AgentFixture(try RedisServer())
            let replies = ReplyList<RedisInspector.Info?>()
            Self.inspector(fixture).info { replies.add($0) }
            let reply = try #require(try replies.first())
            #expect(RedisInfo(reply.info)["role"] == "master")
            #expect((1...60_000_000).contains(reply.microseconds))
        }

        @Test("sums the memory of the cluster's streams, and of no other key")
        func memory() throws {
            let fixture = try AgentFixture(try RedisServer())
            let inspector = Self.inspector(fixture)
            func measure() throws -> Int? {
                let replies = ReplyList<Int?>()
                inspector.measureStreams { replies.add($0) }
                return try replies.first()
            }
            #expect(try measure() == 0)
            for stream in [
                "chat:{s1}:log:a", "chat:{s2}:log:b", "chat:{s1}:conv:a", "x:{s1}:log:a",
            ] {
                try fixture.server.execute("XADD", stream, "*", "m", "text")
            }
            let bytes = try ["chat:{s1}:log:a", "chat:{s2}:log:b"].map {
                Int(try fixture.server.execute("MEMORY", "USAGE", $0)) ?? 0
            }
            #expect(try measure() == bytes.reduce(0, +))
            #expect(bytes.allSatisfy { $0 > 0 })
        }

        @Test("answers nil without a connection, and if Redis does not reply before the timeout")
        func failures() throws {
            let server = try RedisServer()
            let unconnected = try AgentFixture(server, isConnected: false)
            let fixture = try AgentFixture(server)
            try server.freeze()
            defer { server.unfreeze() }
            let infos = ReplyList<RedisInspector.Info?>()
            let sizes = ReplyList<Int?>()
            Self.inspector(unconnected).info { infos.add($0) }
            Self.inspector(unconnected).measureStreams { sizes.add($0) }
            unconnected.run {}
            #expect(infos.all.count == 1 && infos.all[0] == nil)
            #expect(sizes.all == [nil])

            let inspector = Self.inspector(fixture)
            let before = fixture.run { NodeAgent.now }
            inspector.info { infos.add($0) }
            inspector.measureStreams { sizes.add($0) }
            let after = fixture.run { NodeAgent.now }
            fixture.run { inspector.expireQueries(at: before + PendingQueries<Int>.timeout - 1) }
            #expect(infos.all.count == 1 && sizes.all.count == 1)
            fixture.run { inspector.expireQueries(at: after + PendingQueries<Int>.timeout) }
            #expect(infos.all.count == 2 && infos.all[1] == nil)
            #expect(sizes.all == [nil, nil])
        }
    }
}
