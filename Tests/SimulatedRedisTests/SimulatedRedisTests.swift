import SeededRandom
import SimulatedNodes
import SimulatedRedis
import TestKit
import TestTraits
import Testing

@Suite("A simulated Redis", .programs, .ownThread)
struct SimulatedRedisTests {
    private let real: RealRedis
    private let simulated = SimulatedRedis()

    init() throws {
        self.real = try RealRedis()
    }

    /// Executes a command on both.
    private func compare(_ command: [String]) throws {
        let bytes = command.map { Array($0.utf8) }
        let expected = try self.real.execute(bytes).comparable
        let reply = self.simulated.execute(bytes, at: 1_700_000_000_000_000).comparable
        #expect(
            reply == expected,
            "\(command) replied \(reply.readable), Redis \(expected.readable)")
    }

    @Test("replies to commands and their errors as Redis does")
    func commands() throws {
        for command in [
            "SET a 1", "GET a", "SET a 2 NX", "GET a", "SET b 3 PX 100000", "PTTL none",
            "EXISTS a b",
            "TYPE a", "HGET a f", "RPUSH a 1", "ZADD a 1 x", "XADD a 1-0 f v", "DEL a b a", "GET a",
            "HSET h f 1 g 2", "HSET h f 3", "HSETNX h f 4", "HSETNX h i 4", "HGETALL h", "HKEYS h",
            "HVALS h", "HLEN h", "HSTRLEN h f", "HEXISTS h f", "HEXISTS h x", "HMGET h f x g",
            "HINCRBY h f 5", "HINCRBY h n 5", "HSET h t text", "HINCRBY h t 1", "HDEL h f x",
            "HGETALL h", "GET h", "HSET h f", "HGET h", "NOTHING a", "XRANGE none - +",
            "RPUSH l a b c d", "LRANGE l 0 -1", "LRANGE l -2 -1", "LRANGE l 5 9", "LTRIM l -2 -1",
            "LRANGE l 0 -1", "LLEN l", "LTRIM l 5 9", "EXISTS l", "LRANGE none 0 -1",
            "ZADD z 1 b 1 a 2 c", "ZADD z GT 0 a 3 b", "ZSCORE z a", "ZSCORE z b", "ZSCORE z x",
            "ZMSCORE z a x", "ZCARD z", "ZRANGEBYSCORE z -inf +inf WITHSCORES",
            "ZRANGEBYSCORE z 1 (3 LIMIT 0 1", "ZREVRANGEBYSCORE z +inf -inf", "ZREM z a x",
            "ZADD z 1.5 d", "ZSCORE z d", "ZADD z one e", "ZADD lex 0 a 0 b 0 c 0 d",
            "ZRANGEBYLEX lex - +", "ZRANGEBYLEX lex [b (d", "ZREVRANGEBYLEX lex + (a LIMIT 1 2",
            "ZLEXCOUNT lex (a [c", "ZRANGEBYLEX lex b d", "PEXPIRE none 5", "PEXPIRE z 100000",
            "XADD s 1-0 m one", "XADD s 1-0 m two", "XADD s 0-0 m two", "XADD s 3 m two r x",
            "XADD s x m two", "XLEN s", "XRANGE s - +", "XRANGE s 2 3", "XRANGE s (1 +",
            "XRANGE s - + COUNT 1", "XREVRANGE s + - COUNT 1", "XTRIM s MAXLEN 1", "XRANGE s - +",
            "XTRIM s MAXLEN ~ 1", "XDEL s 3-0 9-0", "XLEN s", "EXISTS s", "XADD s 2-0 m old",
            "XADD s MAXLEN ~ 10 5-0 m v", "XADD s 6-0 m", "DEL s h z lex", "DBSIZE",
        ] {
            try self.compare(command.split(separator: " ").map(String.init))
        }
    }

    @Test("runs scripts as Redis does")
    func scripts() throws {
        for script in [
            "return 1", "return 1.9", "return '1.9'", "return true", "return false", "return nil",
            "return {1, 'a', {2, false}, nil, 3}", "return {ok = 'fine'}", "return {err = 'BAD x'}",
            "return redis.error_reply('DAMAGED this')", "return redis.error_reply('word')",
            "return redis.status_reply('fine')", "return KEYS[1] .. ARGV[1] .. #ARGV",
            "return redis.call('SET', KEYS[1], ARGV[1])", "return redis.call('GET', KEYS[1])",
            "return redis.call('GET', 'none')", "return type(redis.call('GET', 'none'))",
            "return redis.call('HGET', KEYS[1], 'f')", "return redis.pcall('HGET', KEYS[1], 'f')",
            "return redis.pcall('HGET', KEYS[1], 'f').err",
            "return redis.call('HSET', 'h', 'n', 1e15, 'm', 0.5, 'k', 3)",
            "return redis.call('HGETALL', 'h')", "return redis.call('HMGET', 'h', 'n', 'x')",
            "return redis.call('HINCRBY', 'h', 'k', 2) + 0.5", "return {redis.call('EXISTS', 'h')}",
            "#!lua\nreturn string.format('%.0f', 2 ^ 52)",
            "#!lua flags=no-writes\nreturn redis.call('XRANGE', 's', '-', '+')",
            "return unpack({1, 2})", "return redis.call('PUBLISH', 'c', 'm')",
            "return redis.call('XADD', 's', '1-0', unpack({'a', 'b'}))",
            "return redis.call('XRANGE', 's', '-', '+')[1][2][2]", "return {{}, {{}}}",
        ] {
            try self.compare(["EVAL", script, "1", "key", "argument", "more"])
        }
        try self.compare(["EVALSHA", "0123", "0"])
        try self.compare(["EVAL", "return 1", "3", "key"])
        try self.compare(["SCRIPT", "LOAD", "#!lua\nreturn ARGV"])
    }

    @Test("replies to random commands as Redis does", arguments: 1...20)
    func randomCommands(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        func pick(_ texts: String...) -> String { random.pick(texts) ?? "" }
        for step in 1...200 {
            let (key, field) = (pick("a", "b"), pick("f", "g", "h", "7"))
            let number = "\(random.number(-3...9))"
            try self.compare(
                random.pick([
                    ["DEL", key], ["EXISTS", key], ["TYPE", key], ["SET", key, number],
                    ["HSET", key, field, number], ["HGETALL", key],
                    ["HINCRBY", key, field, number],
                    ["HDEL", key, field], ["HMGET", key, field, "f"], ["HLEN", key],
                    ["RPUSH", key, field], ["LRANGE", key, number, "-1"],
                    ["LTRIM", key, number, "5"],
                    ["ZADD", key, number, field], ["ZADD", key, "GT", number, field],
                    ["ZRANGEBYSCORE", key, number, "+inf", "WITHSCORES"], ["ZREM", key, field],
                    ["ZADD", "lex", "0", field],
                    ["ZREVRANGEBYLEX", "lex", "+", "[\(field)"], ["ZSCORE", key, field],
                    ["XADD", key, "\(step)-0", field, number], ["XRANGE", key, number, "+"],
                    ["XTRIM", key, "MAXLEN", "3"], ["XLEN", key], ["XDEL", key, "\(step - 3)-0"],
                ]) ?? [])
        }
    }

    @Test("replies to everything that three nodes send as Redis does")
    func recordedCommands() throws {
        var recorded: [(command: [[UInt8]], reply: RESPValue)] = []
        var settings = NodeSimulation.SimulationSettings()
        settings.hasFaults = false
        settings.seconds = 20
        let simulation = NodeSimulation(seed: 1, settings)
        simulation.redis[0].observer = { recorded.append(($0, $1)) }
        #expect(try simulation.play().violation == nil)
        // The other commands concern one connection.
        let others: Set<String> = ["PUBLISH", "PING", "CLIENT", "ROLE", "CONFIG", "INFO", "TIME"]
        let compared = recorded.filter {
            !others.contains(String(decoding: $0.command[0], as: UTF8.self))
        }
        #expect(compared.count > 200)
        for (command, reply) in compared {
            let expected = try self.real.execute(command).comparable
            let texts = command.map { String(decoding: $0, as: UTF8.self) }
            try #require(
                reply.comparable == expected,
                "\(texts) replied \(reply.comparable.readable), Redis \(expected.readable)")
        }
    }
}
