import Glibc
import Synchronization
import TestKit
import TestTraits
import Testing

@Suite("The fault proxy", .programs, .ownThread)
struct FaultProxyTests {
    /// A proxy with a Redis server behind it, which echoes with ECHO.
    private final class ProxyTestBench {
        let redis: RedisServer
        let proxy: FaultProxy

        init() throws {
            self.redis = try RedisServer()
            self.proxy = try FaultProxy(to: self.redis.port)
        }

        func connect() throws -> ByteStream { try ByteStream(port: self.proxy.port) }

        func echo(_ word: String, over stream: ByteStream) throws -> String? {
            try stream.send("ECHO \(word)\r\n")
            _ = try stream.line()
            return try stream.line()
        }
    }

    @Test("passes bytes and ends of connections on in its normal condition")
    func normal() throws {
        let bench = try ProxyTestBench()
        let stream = try bench.connect()
        #expect(try bench.echo("hello", over: stream) == "hello")
        let long = String(repeating: "x", count: 60_000)
        #expect(try bench.echo(long, over: stream) == long)
        try stream.send("QUIT\r\n")
        #expect(try stream.line() == "+OK")
        #expect(stream.readToEnd())
    }

    @Test("resets every connection, including new ones, until that is over")
    func reset() throws {
        let bench = try ProxyTestBench()
        let stream = try bench.connect()
        #expect(try bench.echo("hello", over: stream) == "hello")
        bench.proxy.set(.reset)
        #expect(stream.readToEnd())
        #expect(try bench.connect().readToEnd())
        bench.proxy.set(.normal)
        #expect(try bench.echo("again", over: bench.connect()) == "again")
    }

    @Test(
        "drops bytes of half-open connections, which never recover",
        arguments: FaultProxy.TrafficDirection.allCases)
    func halfOpen(_ direction: FaultProxy.TrafficDirection) throws {
        let bench = try ProxyTestBench()
        let stream = try bench.connect()
        #expect(try bench.echo("hello", over: stream) == "hello")
        bench.proxy.set(.halfOpen(direction))
        try stream.send("ECHO lost\r\n")
        #expect(!stream.readToEnd(within: .milliseconds(200)))
        bench.proxy.set(.normal)
        try stream.send("ECHO more\r\n")
        #expect(!stream.readToEnd(within: .milliseconds(200)))
        #expect(try stream.peek(atLeast: 0).isEmpty)
        #expect(try bench.echo("again", over: bench.connect()) == "again")
    }

    @Test("drops the bytes of subscriptions only, also of those that begin during the fault")
    func subscriptions() throws {
        let bench = try ProxyTestBench()
        let (commands, subscriber) = (try bench.connect(), try bench.connect())
        // Five lines of the confirmation, after the line with their number.
        try subscriber.send("*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n")
        for _ in 0..<6 { _ = try subscriber.line() }
        bench.proxy.set(.halfOpen(.toClient), for: .subscriptions)
        #expect(try bench.echo("hello", over: commands) == "hello")
        #expect(try bench.redis.execute("PUBLISH", "news", "lost") == "1")
        let late = try bench.connect()
        #expect(try bench.echo("hello", over: late) == "hello")
        try late.send("*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n")
        for stream in [subscriber, late] {
            #expect(!stream.readToEnd(within: .milliseconds(200)))
            #expect(try stream.peek(atLeast: 0).isEmpty)
        }
        #expect(try bench.echo("hello", over: commands) == "hello")
    }

    @Test(
        "stalls bytes, and delivers them in order afterwards",
        arguments: FaultProxy.TrafficDirection.allCases)
    func stalled(_ direction: FaultProxy.TrafficDirection) throws {
        let bench = try ProxyTestBench()
        let stream = try bench.connect()
        #expect(try bench.echo("hello", over: stream) == "hello")
        bench.proxy.set(.stalled(direction))
        try stream.send("ECHO first\r\n")
        try stream.send("ECHO second\r\n")
        #expect(!stream.isReadable(within: .milliseconds(200)))
        bench.proxy.set(.normal)
        #expect(try (0..<4).map { _ in try stream.line() } == ["$5", "first", "$6", "second"])
    }

    @Test("delays bytes")
    func slow() throws {
        let bench = try ProxyTestBench()
        bench.proxy.set(.slow(.both, .milliseconds(100)))
        let stream = try bench.connect()
        let begin = ContinuousClock.now
        #expect(try bench.echo("hello", over: stream) == "hello")
        #expect(ContinuousClock.now - begin >= .milliseconds(200))
    }

    @Test("replaces the ports that a server names, and no other numbers")
    func translated() throws {
        let bench = try ProxyTestBench()
        bench.proxy.set(PortTranslation([30_001: 40_009, 30_002: 40_010]))
        let stream = try bench.connect()
        for (text, translated) in [
            ("127.0.0.1:30001@130001", "127.0.0.1:40009@130001"),
            ("MOVED 30001 127.0.0.1:30002", "MOVED 30001 127.0.0.1:40010"),
            ("127.0.0.1 30002 127.0.0.1 30003", "127.0.0.1 40010 127.0.0.1 30003"),
            ("ip=127.0.0.1,port=30001", "ip=127.0.0.1,port=40009"),
            ("127.0.0.1:300012", "127.0.0.1:300012"), ("c1-m1-30001", "c1-m1-30001"),
        ] {
            #expect(try bench.echo("\"\(text)\"", over: stream) == translated)
        }
    }
}
