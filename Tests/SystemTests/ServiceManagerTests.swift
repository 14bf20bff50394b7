import Glibc
import TestKit
import TestTraits
import Testing

@Suite("A node that a service manager has started", .programs, .ownThread)
struct ServiceManagerTests {
    @Test(
        "reports its start, its reloads and its end, at a path or an abstract name",
        arguments: TestRun.isLong ? [false, true] : [false])
    func lifecycle(isAbstract: Bool) throws {
        let manager = try ServiceManagerSocket(isAbstract: isAbstract)
        let server = try ConfabServer(
            ["--drain-seconds", "0"], environment: ["NOTIFY_SOCKET": manager.name])
        let ready = try manager.report(with: "READY=1")
        #expect(ready.contains("STATUS=Serving clients at http://127.0.0.1:\(server.port)."))

        server.process.send(SIGHUP)
        let reload = try manager.report(with: "RELOADING=1")
        let time = try #require(
            reload.first { $0.hasPrefix("MONOTONIC_USEC=") }?.split(separator: "=").last)
        #expect(try abs(Self.monotonicMicroseconds - #require(Int64(time))) < 60_000_000)
        try manager.report(with: "READY=1")

        try server.folder.write("short", to: "jwt.secret")
        server.process.send(SIGHUP)
        try manager.report(with: "RELOADING=1")
        let failed = try manager.report(with: "READY=1")
        #expect(failed.contains { $0.hasPrefix("STATUS=The reload failed, and the settings are") })

        server.process.send(SIGTERM)
        try manager.report(with: "STOPPING=1")
        #expect(try server.process.waitForExit() == .exited(0))
    }

    @Test("satisfies the watchdog while it runs, and not while it is stopped")
    func watchdog() throws {
        let manager = try ServiceManagerSocket()
        let server = try ConfabServer(
            environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1000000"])
        for _ in 0..<3 { try manager.report(with: "WATCHDOG=1") }

        try server.process.freeze()
        // Reports that were sent before the signal arrived.
        while manager.poll(within: .zero) != nil {}
        #expect(manager.poll(within: .seconds(2)) == nil)

        server.process.send(SIGCONT)
        try manager.report(with: "WATCHDOG=1")
    }

    @Test("extends its start while it waits for Redis", .long)
    func slowStart() throws {
        let manager = try ServiceManagerSocket()
        let folder = try TemporaryFolder()
        let secret = try folder.write(ConfabServer.secret, to: "jwt.secret")
        // No process listens at port 1.
        let node = try ChildProcess(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--jwt-secret-file", secret,
                "--store", "redis://127.0.0.1:1",
            ],
            environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1000000"],
            folder: folder.path)
        defer { node.kill() }
        for _ in 0..<2 {
            let report = try manager.report(with: "WATCHDOG=1")
            #expect(report.contains("EXTEND_TIMEOUT_USEC=60000000"))
            #expect(!report.contains("READY=1"))
        }
    }

    @Test("serves clients even if the address of the service manager is invalid", .long)
    func invalidAddress() throws {
        let server = try ConfabServer(environment: ["NOTIFY_SOCKET": "vsock:2:1"])
        try server.process.errors.line(with: "service manager not notified")
        #expect(try server.health().status == 200)
    }

    private static var monotonicMicroseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
