import Glibc
import Telemetry
import TestKit
import TestTraits
import Testing

@Suite("The socket of the service manager", .ownThread)
struct NotifySocketTests {
    @Test("receives reports by a path or by an abstract name", arguments: [false, true])
    func send(isAbstract: Bool) throws {
        let manager = try ServiceManagerSocket(isAbstract: isAbstract)
        let socket = try #require(try NotifySocket(environment: ["NOTIFY_SOCKET": manager.name]))
        try socket.send("READY=1\nSTATUS=Serving.")
        #expect(try manager.next() == ["READY=1", "STATUS=Serving."])
        #expect(socket.watchdog == nil)
    }

    @Test("is absent where no service manager waits for reports")
    func absent() throws {
        #expect(try NotifySocket(environment: [:]) == nil)
        #expect(try NotifySocket(environment: ["NOTIFY_SOCKET": ""]) == nil)
    }

    @Test(
        "must be a valid address, and errors name the variable",
        arguments: [
            (["NOTIFY_SOCKET": "vsock:2:1"], "NOTIFY_SOCKET: vsock:2:1 is neither"),
            (["NOTIFY_SOCKET": "@"], "NOTIFY_SOCKET: @ is neither"),
            (
                ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 107)],
                "is longer than a socket's address allows"
            ),
            (
                ["NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "soon"],
                "WATCHDOG_USEC: soon is not a number of microseconds"
            ),
            (
                ["NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "-1"],
                "WATCHDOG_USEC: -1 is not a number of microseconds"
            ),
        ])
    func invalid(environment: [String: String], reason: String) {
        let error = #expect(throws: NotifySocket.NotifyError.self) {
            try NotifySocket(environment: environment)
        }
        #expect(error?.description.contains(reason) == true)
    }

    @Test("has the longest path that the system allows")
    func longestPath() throws {
        let path = "/" + String(repeating: "x", count: 106)
        let socket = try #require(try NotifySocket(environment: ["NOTIFY_SOCKET": path]))
        let error = #expect(throws: NotifySocket.NotifyError.self) { try socket.send("READY=1") }
        #expect(error?.description == "NOTIFY_SOCKET: No such file or directory")
    }

    @Test("watches only the process that it names")
    func watchdog() throws {
        func watchdog(_ process: String?) throws -> Duration? {
            var environment = ["NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "3000000"]
            environment["WATCHDOG_PID"] = process
            return try NotifySocket(environment: environment)?.watchdog
        }
        #expect(try watchdog(nil) == .seconds(3))
        #expect(try watchdog(String(getpid())) == .seconds(3))
        #expect(try watchdog("1") == nil)
    }
}
