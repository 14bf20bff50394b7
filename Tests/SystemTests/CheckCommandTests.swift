import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

/// Runs the program without an admin listener.
private func runHealth(_ arguments: String...) throws -> CommandResult {
    try confab(["health"] + arguments, at: freePort())
}

/// The first answer of a node that runs: the command waits only two seconds for it.
private func runHealth(of url: String, _ options: String...) throws -> CommandResult {
    try Deadline.wait(for: "an answer in time") {
        let result = try confab(["health", url] + options, at: freePort())
        return result.status == 3 ? nil : result
    }
}

@Suite("confab health", .programs, .ownThread)
struct HealthCommandTests {
    @Test("ends with 0 for a healthy node, 1 for another one, and 3 without an answer")
    func statuses() throws {
        let server = try ConfabServer(["--node-id", "solo"])
        let url = "http://127.0.0.1:\(server.port)"
        let healthy = try runHealth(of: url)
        #expect(healthy.status == 0)
        #expect(healthy.output.hasPrefix("healthy (node solo, version "), "\(healthy)")
        #expect(try runHealth(of: url + "/", "--live").output.hasPrefix("live (node solo"))
        let document = try runHealth(of: url, "--output", "json").document
        #expect(document["node"] == "solo" && document["status"] == "healthy")

        #expect(
            try confab("drain", "solo", "--yes", "--force", "--deadline", "0", at: server.adminPort)
                .status == 0)
        let drained = try runHealth(of: url)
        #expect(drained.status == 1 && drained.output.hasPrefix("draining: "), "\(drained)")
        #expect(try runHealth(of: url, "--live").status == 0)

        try server.process.freeze()
        let begin = ContinuousClock.now
        let frozen = try runHealth(url)
        #expect(frozen.status == 3 && frozen.errors.contains("no answer within 2 seconds"))
        #expect(ContinuousClock.now - begin < .seconds(20))
        server.process.send(SIGCONT)
        try server.crash()
        let dead = try runHealth(url)
        #expect(dead.status == 3 && dead.errors.contains("Connection refused"), "\(dead)")
        // The admin listener has no health endpoint.
        let other = try StaticFileServer()
        #expect(try runHealth("http://127.0.0.1:\(other.port)").status == 3)
    }

    @Test("checks the certificate of https", .long)
    func https() throws {
        let certificates = try TestCertificates()
        let server = try ConfabServer([
            "--tls-cert", certificates.certificate, "--tls-key", certificates.key,
        ])
        let url = "https://127.0.0.1:\(server.port)"
        #expect(try runHealth(url, "--ca", certificates.authority).status == 0)
        let untrusted = try runHealth(url)
        #expect(
            untrusted.status == 3 && untrusted.errors.contains("certificate is not accepted"),
            "\(untrusted)")
        let plain = try runHealth("http://127.0.0.1:\(server.port)")
        #expect(plain.status == 3, "\(plain)")
    }

    @Test(
        "rejects a wrong command line", .long,
        arguments: [
            ["ftp://chat"], ["http://chat", "--ca", "ca.pem"], ["https://chat", "--ca", "nowhere"],
            ["http://a", "http://b"], ["--admin", "http://a"],
        ])
    func usage(arguments: [String]) throws {
        #expect(try confab(["health"] + arguments, at: freePort()).status == 2)
    }
}

@Suite("confab await", .programs, .ownThread)
struct AwaitCommandTests {
    @Test("waits for a node that starts later, and tries all addresses")
    func lateStart() throws {
        let (port, otherPort) = (try freePort(), try freePort())
        let admins = "http://127.0.0.1:\(otherPort),http://127.0.0.1:\(port)"
        let waiting = try ChildProcess(
            Checkout.confab, ["await", "healthy", "--timeout", "90s", "--admin", admins])
        defer { waiting.kill() }
        let server = try ConfabServer(["--admin", "127.0.0.1:\(port)", "--node-id", "solo"])
        #expect(try waiting.waitForExit() == .exited(0))
        withExtendedLifetime(server) {}
    }

    @Test("exits with 1 if the state is not reached in time", .long)
    func conditions() throws {
        let server = try ConfabServer(["--node-id", "solo"])
        let port = server.adminPort
        let missing = try confab("await", "nodes", "2", "--timeout", "0.5", at: port)
        #expect(missing.status == 1)
        #expect(missing.errors == "confab: not reached within 0.5 s: 1 node of 2 active")
        #expect(try confab("await", "drained", "solo", "--timeout", "0", at: port).status == 1)
        let drained = try confab(
            "drain", "solo", "--yes", "--force", "--deadline", "0", at: port)
        #expect(drained.status == 0)
        #expect(try confab("await", "drained", "solo", "--timeout", "60s", at: port).status == 0)
        #expect(
            try confab("await", "healthy", "--timeout", "0", at: port).errors.contains(
                "no node accepts clients"))
        #expect(try confab("await", "drained", at: port).status == 2)
        try server.crash()
        #expect(try confab("await", "nodes", "1", "--timeout", "0", at: port).status == 1)
    }
}

@Suite("confab doctor for a single node", .programs, .ownThread)
struct DoctorCommandTests {
    private func result(_ check: String, _ rows: [JSONObject]) throws -> JSONObject {
        try #require(rows.first { $0["check"] == check })
    }

    @Test("reports an expired certificate with its remedy, and passes without one")
    func certificate() throws {
        let certificates = try TestCertificates()
        try certificates.makeServer("expired", days: -1)
        let folder = try TemporaryFolder()
        let (file, key) = (folder.file("tls.pem"), folder.file("tls.key"))
        func install(_ name: String) throws {
            for (source, target) in [("\(name).pem", file), ("\(name).key", key)] {
                try? FileManager.default.removeItem(atPath: target)
                try FileManager.default.copyItem(
                    atPath: certificates.path(source), toPath: target)
            }
        }
        try install("expired")
        let server = try ConfabServer(
            ["--tls-cert", file, "--tls-key", key], store: .sqlite, operatorsNeedToken: true,
            in: folder)
        let failed = try confab("doctor", at: server.adminPort)
        #expect(failed.status == 1)
        #expect(failed.output.contains("tls-certificate: The TLS certificate expired "))
        #expect(failed.output.contains("Renew the certificate"))

        try install("server")
        let renewed = try confab("doctor", "--output", "json", at: server.adminPort)
        #expect(renewed.status == 1)
        #expect(
            try self.result("tls-certificate", renewed.rows("checks"))["remedy"]?.contains(
                "SIGHUP") == true)
        server.process.send(SIGHUP)
        try server.process.errors.line(with: "settings reloaded")
        let passed = try confab("doctor", "--output", "json", at: server.adminPort)
        let rows = try passed.rows("checks")
        #expect(passed.status == 0, "\(rows)")
        // The certificates of tests are valid for two days.
        #expect(try self.result("tls-certificate", rows)["result"] == "warning")
        for check in ["node-answers", "health", "token-keys", "admin-listener"] {
            #expect(try self.result(check, rows)["result"] == "ok")
        }
        #expect(try self.result("database-integrity", rows)["result"] == "ok")
        #expect(!rows.contains { $0["check"]?.hasPrefix("redis") == true })

        try FileManager.default.removeItem(atPath: file)
        let missing = try confab("doctor", "--output", "json", at: server.adminPort)
        #expect(missing.status == 1)
        #expect(try self.result("token-keys", missing.rows("checks"))["result"] == "failed")
    }

    @Test("warns of anonymous access on a public address and of a store in memory", .long)
    func warnings() throws {
        let server = try ConfabServer(["--listen", "0.0.0.0:0", "--anonymous", "on"])
        let rows = try confab("doctor", "--output", "json", at: server.adminPort).rows("checks")
        #expect(try self.result("anonymous-access", rows)["result"] == "warning")
        #expect(try self.result("store", rows)["result"] == "warning")
    }
}

@Suite("confab support", .programs, .ownThread)
struct SupportCommandTests {
    @Test("writes a private archive without secrets or messages, and replaces no file")
    func archive() throws {
        let folder = try TemporaryFolder()
        let token = "planted-admin-token-5f1c"
        let tokenFile = try folder.write(token, to: "admin.token")
        let redis = try RedisServer(["--requirepass", "planted-redis-password"])
        let server = try ConfabServer(
            [
                "--store", "redis://:planted-redis-password@127.0.0.1:\(redis.port)",
                "--admin-token-file", tokenFile, "--node-id", "n1", "--log-level", "debug",
            ], in: folder)
        try server.connect("alice").post("planted message text")
        let file = folder.file("support.tar.gz")
        let environment = ["CONFAB_ADMIN_TOKEN_FILE": tokenFile]
        let result = try confab(
            "support", file, at: server.adminPort, environment: environment)
        #expect(result.status == 0 && result.errors == "", "\(result)")
        let attributes = try FileManager.default.attributesOfItem(atPath: file)
        #expect(attributes[.posixPermissions] as? Int == 0o600)

        let refused = try confab(
            "support", file, at: server.adminPort, environment: environment)
        #expect(refused.status == 1)
        #expect(refused.errors == "confab: support: \(file) exists; --yes replaces it")
        #expect(
            try confab(
                "support", file, "--yes", at: server.adminPort, environment: environment
            ).status == 0)

        let target = try TemporaryFolder()
        #expect(
            try run(Checkout.program("tar"), ["xzf", file, "-C", target.path]).exitStatus
                == .exited(0))
        let names = try FileManager.default.subpathsOfDirectory(atPath: target.path)
        for name in [
            "status.json", "nodes.json", "shards.json", "events.json", "redis.json", "doctor.json",
            "n1/configuration.txt", "n1/metrics.txt", "version.txt",
        ] { #expect(names.contains { $0.hasSuffix("/\(name)") }, "\(name)") }
        let secrets = [
            token, "planted-redis-password", "planted message text", ConfabServer.secret,
        ]
        var byteCount = 0
        for name in names where !name.hasSuffix("n1") && name.contains("/") {
            let text = try target.read(name)
            byteCount += text.utf8.count
            for secret in secrets { #expect(!text.contains(secret), "\(secret) in \(name)") }
        }
        #expect(byteCount > 10_000)
        #expect(
            try confab(
                "support", folder.file("no/where"), at: server.adminPort,
                environment: environment
            ).status == 1)
    }
}
