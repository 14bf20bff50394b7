import Bytes
import EventLoop
import RedisClient
import TestKit
import Testing

extension RealServers {
    @Suite("A blocking client")
    struct BlockingRedisClientTests {
        private static func client(
            _ url: String, _ adjust: (inout RedisSettings) -> Void = { _ in }
        ) throws -> BlockingRedisClient {
            var settings = try RedisSettings(RedisURL(url))
            settings.commandTimeout = Deadline.defaultTimeout
            adjust(&settings)
            return try BlockingRedisClient(settings, name: "test")
        }

        @Test("returns the replies in the order of the commands, and copies every kind of reply")
        func replies() throws {
            let server = try RedisServer()
            let client = try Self.client(server.url)
            let replies = try client.send([
                RedisQuery(.any, "SET", "n", "7"), RedisQuery(.any, "INCR", "n"),
                RedisQuery(.any, "GET", "n"), RedisQuery(.any, "GET", "none"),
                RedisQuery(.any, "MGET", "n", "none"),
            ])
            #expect(
                replies == [
                    .text("OK"), .number(8), .text("8"), .nothing, .list([.text("8"), .nothing]),
                ])
            #expect(try client.send([]) == [])
            #expect(
                try client.masters().map(\.endpoint) == ["127.0.0.1:\(server.port)"])
        }

        @Test("reports an error reply after the other commands, and stays usable")
        func errorReply() throws {
            let server = try RedisServer()
            let client = try Self.client(server.url)
            #expect(throws: BlockingRedisClient.CallFailure.rejected(.wrongType)) {
                try client.send([
                    RedisQuery(.any, "SET", "k", "x"), RedisQuery(.any, "LPUSH", "k", "y"),
                    RedisQuery(.any, "SET", "k", "z"),
                ])
            }
            #expect(try client.send([RedisQuery(.any, "GET", "k")]) == [.text("z")])
        }

        @Test("reports that no server listens: connecting at once, a command after its timeout")
        func noServer() throws {
            let port = try freePort()
            let endpoint = "127.0.0.1:\(port)"
            let client = try Self.client("redis://\(endpoint)") {
                $0.commandTimeout = .milliseconds(300)
            }
            let failure = BlockingRedisClient.CallFailure.unanswered(
                .noConnection, .socket(.refused, server: endpoint))
            #expect(throws: failure) { try client.connect() }
            #expect(throws: failure) { try client.send([RedisQuery(.any, "PING")]) }
            #expect(
                failure.description
                    == "\(endpoint) refuses the connection: no Redis listens there.")
            #expect(client.connectionCount == 0)
        }

        @Test("reports why the server rejects its connection")
        func rejectedConnection() throws {
            let server = try RedisServer(["--requirepass", "open"])
            let client = try Self.client("redis://:wrong@127.0.0.1:\(server.port)")
            #expect(
                throws: BlockingRedisClient.CallFailure.unanswered(
                    .noConnection, .refused(.wrongPassword))
            ) { try client.connect() }
        }

        @Test("counts its connections, and sends a command over the next one")
        func connections() throws {
            let server = try RedisServer()
            let client = try Self.client(server.url)
            try client.connect()
            try client.connect()
            #expect(client.connectionCount == 1)
            #expect(try server.execute("CLIENT", "KILL", "TYPE", "normal") == "1")
            try Deadline.wait(for: "the next connection") { client.connectionCount == 2 }
            #expect(try client.send([RedisQuery(.any, "PING")]) == [.text("PONG")])
        }

        @Test("ends a command with its timeout while the server is frozen")
        func frozenServer() throws {
            let server = try RedisServer()
            let client = try Self.client(server.url) { $0.commandTimeout = .seconds(1) }
            try client.connect()
            try server.freeze()
            defer { server.unfreeze() }
            let failure = #expect(throws: BlockingRedisClient.CallFailure.self) {
                try client.send([RedisQuery(.any, "PING")])
            }
            guard
                case .unanswered(.connectionLost(mayBeExecuted: true), .silent?)? = failure
            else { throw TestFailure("another failure: \(String(describing: failure))") }
        }
    }
}

@Suite("A copied reply")
struct RedisValueTests {
    @Test(
        "has a text, a number, or elements",
        arguments: [
            (.nothing, nil, nil, .nothing), (.number(5), nil, 5, .nothing),
            (.text("12"), "12", 12, .nothing), (.text("x"), "x", nil, .nothing),
            (.list([.text("a"), .number(1)]), nil, nil, .number(1)),
            (.list([.text("a")]), nil, nil, .nothing),
        ] as [(RedisValue, String?, Int?, RedisValue)])
    func parts(value: RedisValue, text: String?, number: Int?, second: RedisValue) {
        #expect(value.text == text)
        #expect(value.number == number)
        #expect(value[1] == second)
    }
}
