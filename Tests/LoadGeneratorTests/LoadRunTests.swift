import ClientTestSupport
import Configuration
import Dialects
import Glibc
import JSON
import RedisClient
import TLS
import TestKit
import TestTraits
import Testing

@testable import LoadGenerator

/// Complete runs against a server in this process.
@Suite("A run", .ownThread)
struct LoadRunTests {
    private func options(
        _ scenario: BenchOptions.Scenario, _ server: FanOutServer,
        _ change: (inout BenchOptions) throws -> Void = { _ in }
    ) rethrows -> BenchOptions {
        var options = BenchOptions(scenario, urls: [server.url])
        options.adapter = "raw"
        (options.connections, options.groups, options.publishers, options.rate) = (12, 3, 2, 300)
        (options.settle, options.warmup, options.duration) = (
            .zero, .milliseconds(100), .milliseconds(300)
        )
        options.lossTimeout = .seconds(2)
        try change(&options)
        return options
    }

    private func report(
        _ scenario: BenchOptions.Scenario, _ fault: FanOutServer.DeliveryFault = .none,
        _ change: (inout BenchOptions) throws -> Void = { _ in }
    ) throws -> BenchmarkReport {
        let server = try FanOutServer(fault)
        defer { server.stop() }
        return try Benchmark.report(
            of: try self.options(scenario, server, change), DialectList.all.loadAdapters)
    }

    @Test(
        "delivers every message to every member of its conversation",
        arguments: [.broadcast, .groups, .send] as [BenchOptions.Scenario])
    func whole(scenario: BenchOptions.Scenario) throws {
        let report = try self.report(scenario)
        #expect(report.failures.descriptions == [])
        #expect(report.openConnections == 12)
        #expect(report.published > 0)
        #expect(report.received == report.expected)
        #expect(
            report.received == report.published
                * (scenario == .broadcast ? 12 : scenario == .groups ? 4 : 1))
        #expect(report.answers == report.published)
        #expect(report.latency != nil)
    }

    @Test("spreads every conversation over the servers")
    func servers() throws {
        // The servers do not forward to each other, so every message misses the members on the
        // other one.
        let other = try FanOutServer()
        defer { other.stop() }
        let apart = try self.report(.groups) {
            ($0.urls, $0.warmup) = ($0.urls + [other.url], .zero)
        }
        #expect(apart.failures.count(of: .lost) == apart.expected / 2)
        #expect(apart.openConnections == 12)

        let senders = try self.report(.send) { $0.urls.append(other.url) }
        #expect(senders.failures.descriptions == [])
    }

    @Test("uses TLS with a trusted server", .programs)
    func tls() throws {
        let certificates = try TestCertificates()
        let context = try TLSContext(
            serverCertificate: certificates.certificate, key: certificates.key)
        for (authorities, isTrusted) in [(certificates.authority, true), (nil, false)]
            as [(String?, Bool)]
        {
            let server = try FanOutServer(tls: context)
            defer { server.stop() }
            let options = self.options(.groups, server) {
                $0.urls = ["wss://127.0.0.1:\(server.server.port)"]
                $0.authorities = authorities
            }
            let report = try Benchmark.report(of: options, DialectList.all.loadAdapters)
            #expect(report.isGood == isTrusted)
            #expect(report.received > 0 || !isTrusted)
            #expect(
                isTrusted || report.failures.descriptions[0].contains("certificate is not accepted")
            )
        }
    }

    @Test("sends as fast as possible without a rate")
    func saturation() throws {
        let report = try self.report(.broadcast) {
            ($0.rate, $0.window, $0.connections, $0.publishers) = (0, 8, 3, 3)
        }
        #expect(report.failures.descriptions == [])
        #expect(report.published > 8)
    }

    @Test("never exceeds its rate")
    func rate() throws {
        let report = try self.report(.groups) { ($0.rate, $0.warmup) = (200, .zero) }
        #expect((1...61).contains(report.published))
    }

    @Test("sends messages of every size", arguments: [28, 126, 65_536, 300_000])
    func sizes(byteCount: Int) throws {
        let report = try self.report(.groups) { ($0.messageBytes, $0.rate) = (byteCount, 50) }
        #expect(report.failures.descriptions == [])
        #expect(report.bytesIn >= report.received * UInt64(byteCount))
    }

    @Test("measures idle connections, and connects")
    func quiet() throws {
        let idle = try self.report(.idle) { $0.serverProcesses = [getpid()] }
        #expect(idle.failures.descriptions == [])
        #expect(idle.idleTime.map { $0 >= .milliseconds(300) } == true)
        #expect(idle.residentBytesPerConnection != nil)

        let connect = try self.report(.connect) {
            ($0.concurrency, $0.serverProcesses) = (5, [getpid()])
        }
        #expect(connect.failures.descriptions == [])
        #expect(connect.connectLatency != nil)
        #expect(connect.serverMicrosecondsPerConnect != nil)
    }

    @Test("measures all given processes, together and individually")
    func processes() throws {
        let child = try ChildProcess("/bin/sleep", ["60"])
        defer { child.kill() }
        let report = try self.report(.groups) { $0.serverProcesses = [getpid(), child.id] }
        let server = try #require(report.server)
        #expect(server.measuredProcessCPU.count == 2)
        #expect(server.measuredProcessCPU.reduce(.zero, +) == server.measuredCPU)
        #expect(server.measuredProcessCPU[1] == .zero)
        #expect(server.threadCount > 1)
    }

    @Test("counts the commands of Redis, without its own", .programs)
    func redis() throws {
        let redis = try RedisServer(["--requirepass", "open"])
        let report = try self.report(.idle) {
            $0.redis = try RedisURL("redis://:open@127.0.0.1:\(redis.port)")
        }
        #expect(report.redis == CommandSample())
        #expect(report.json["redis"]?["commands_given"] == .integer(0))
        #expect(report.json["redis"]?["commands_per_message"] == .null)
    }

    @Test("reports no count if Redis has reset its statistics", .programs)
    func resetRedisStatistics() throws {
        let redis = try RedisServer([])
        let counter = try CommandCounter(RedisURL("redis://127.0.0.1:\(redis.port)"))
        let before = try #require(counter.sample())
        #expect(before.calls["info"] == 0)
        _ = try redis.execute("CONFIG", "RESETSTAT")
        #expect(counter.sample() == nil)
    }

    @Test(
        "reports no count after Redis has closed the connection, whose handshake was counted",
        .programs)
    func reconnectedToRedis() throws {
        let redis = try RedisServer([])
        let counter = try CommandCounter(RedisURL("redis://127.0.0.1:\(redis.port)"))
        #expect(counter.sample() != nil)
        #expect(try redis.execute("CLIENT", "KILL", "TYPE", "normal") == "1")
        #expect(counter.sample() == nil)
        #expect(counter.sample() == nil)
    }

    @Test("reports why Redis cannot be queried", .programs)
    func withoutRedis() throws {
        let redis = try RedisServer(["--requirepass", "open"])
        for (url, problem) in [
            ("redis://127.0.0.1:1", "--redis: 127.0.0.1:1 cannot be reached: Connection refused."),
            (
                "redis://:wrong@127.0.0.1:\(redis.port)",
                "--redis: 127.0.0.1:\(redis.port) rejected the password."
            ),
            (
                "redis://127.0.0.1:\(redis.port)",
                "--redis: 127.0.0.1:\(redis.port) does not answer INFO."
            ),
        ] {
            let url = try RedisURL(url)
            let error = #expect(throws: BenchmarkError.self) {
                try self.report(.idle) { $0.redis = url }
            }
            #expect(error?.description == problem)
        }
    }

    @Test("finds lost messages")
    func loss() throws {
        let report = try self.report(.broadcast, .drops(every: 7))
        #expect(report.failures.count(of: .lost) > 0)
        #expect(!report.isGood)
    }

    @Test("finds repeated messages")
    func repetition() throws {
        let report = try self.report(.broadcast, .repeats(every: 7))
        #expect(report.failures.count(of: .repeated) > 0)
        #expect(report.failures.count(of: .lost) == 0)
    }

    @Test("finds members that receive two senders in another order")
    func disorder() throws {
        let report = try self.report(.broadcast, .swaps)
        #expect(report.failures.count(of: .outOfOrder) >= 1)
    }

    @Test("finds messages of other conversations")
    func misdirection() throws {
        let report = try self.report(.groups, .misdirects)
        #expect(report.failures.count(of: .foreign) > 0)
        #expect(report.failures.count(of: .lost) == 0)
    }

    @Test("reports connections that end early, with the server's reason")
    func earlyEnd() throws {
        let report = try self.report(.send, .closes(after: 5))
        #expect(report.failures.count(of: .closedEarly) == 12)
        #expect(
            report.failures.descriptions.first
                == "12 connections ended early. The server went away (enough).")
    }

    @Test("reports rejected connections, with the server's reason, and stops")
    func refusal() throws {
        let report = try self.report(.groups, .refuses(2))
        #expect(
            report.failures.descriptions == [
                """
                2 connections were refused. The server rejected the WebSocket with status 503: \
                there is no room.
                """
            ])
        #expect(report.published == 0)
    }

    @Test("reports the error and exits with 1 when it cannot start")
    func startFailures() throws {
        var complaints: [String] = []
        var options = BenchOptions(.groups, urls: ["ws://127.0.0.1:1"])
        #expect(
            Benchmark.run(
                options, adapters: DialectList.all.loadAdapters, write: { _ in },
                printError: { complaints.append($0) }) == 1)
        options.secretFile = "/nowhere/secret"
        #expect(
            Benchmark.run(
                options, adapters: DialectList.all.loadAdapters, write: { _ in },
                printError: { complaints.append($0) }) == 1)
        options.adapter = "raw"
        options.serverProcesses = [getpid(), Int32.max]
        #expect(
            Benchmark.run(
                options, adapters: DialectList.all.loadAdapters, write: { _ in },
                printError: { complaints.append($0) }) == 1)
        #expect(complaints.count == 3)
        #expect(
            complaints[0]
                == "--secret-file: the server's secret is required to sign the users' tokens.")
        #expect(complaints[1].hasPrefix("/nowhere/secret: "))
        #expect(complaints[2] == "--server-pid: there is no process 2147483647 on this machine.")
    }

    @Test("writes one JSON document, and exits with 0 on success or 1 on failure")
    func output() throws {
        for (fault, status) in [(FanOutServer.DeliveryFault.none, Int32(0)), (.drops(every: 7), 1)]
        {
            let server = try FanOutServer(fault)
            defer { server.stop() }
            var written = ""
            var complaints: [String] = []
            let options = self.options(.groups, server) { $0.output = .json }
            #expect(
                Benchmark.run(
                    options, adapters: DialectList.all.loadAdapters, write: { written += $0 },
                    printError: { complaints.append($0) })
                    == status)
            let tree = try JSONTree(parsing: written)
            #expect(tree["result"]?.stringValue == (status == 0 ? "ok" : "failed"))
            #expect(complaints.isEmpty == (status == 0))
        }
    }
}
