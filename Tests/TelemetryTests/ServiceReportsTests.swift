import Telemetry
import Testing

@Suite("Reports to the service manager")
struct ServiceReportsTests {
    static let watchdog = Duration.seconds(4)
    static let extension60 = "EXTEND_TIMEOUT_USEC=60000000"

    static func condition(
        stuckLoop: Int? = nil, problem: String? = nil, connections: Int = 0
    ) -> ServiceReports.ServiceCondition {
        ServiceReports.ServiceCondition(
            stuckLoop: stuckLoop, problem: problem, connectionCount: connections)
    }

    @Test("are due after half of the watchdog's time, and after 5 seconds at the latest")
    func interval() {
        #expect(ServiceReports(watchdog: .seconds(4)).interval == .seconds(2))
        #expect(ServiceReports(watchdog: .seconds(60)).interval == .seconds(5))
        #expect(ServiceReports(watchdog: nil).interval == .seconds(5))
    }

    @Test("extend the time limits of the start and of the drain, and not while the node serves")
    func timeLimits() {
        var reports = ServiceReports(watchdog: nil)
        #expect(
            reports.tick(Self.condition())
                == "\(Self.extension60)\nSTATUS=Starting: the node does not accept clients yet.")
        #expect(reports.tick(Self.condition()) == Self.extension60)

        #expect(
            reports.started(at: "http://127.0.0.1:8080")
                == "READY=1\nSTATUS=Serving clients at http://127.0.0.1:8080.")
        #expect(
            reports.tick(Self.condition(connections: 3))
                == "STATUS=Serving clients at http://127.0.0.1:8080; open connections: 3.")
        #expect(reports.tick(Self.condition(connections: 3)) == nil)

        #expect(reports.stopping() == "STOPPING=1\nSTATUS=Draining.")
        #expect(
            reports.tick(Self.condition(connections: 2))
                == "\(Self.extension60)\nSTATUS=Draining; open connections: 2.")
    }

    @Test("satisfy the watchdog only while every loop runs", arguments: [false, true])
    func watchdogWhileLoopsRun(isStarting: Bool) {
        var reports = ServiceReports(watchdog: Self.watchdog)
        if !isStarting { _ = reports.started(at: "http://a") }
        #expect(reports.tick(Self.condition())?.contains("WATCHDOG=1") == true)

        #expect(
            reports.tick(Self.condition(stuckLoop: 1)) == "STATUS=Event loop 1 does not run.")
        #expect(reports.tick(Self.condition(stuckLoop: 1)) == nil)

        #expect(reports.tick(Self.condition())?.contains("WATCHDOG=1") == true)
    }

    @Test("satisfy the watchdog while the store is unavailable: a restart would not repair it")
    func degraded() {
        var reports = ServiceReports(watchdog: Self.watchdog)
        _ = reports.started(at: "http://a")
        #expect(
            reports.tick(Self.condition(problem: "store: does not answer"))
                == "WATCHDOG=1\nSTATUS=Degraded: store: does not answer.")
    }

    @Test("announce a reload with its time, and its result")
    func reload() {
        var reports = ServiceReports(watchdog: nil)
        _ = reports.started(at: "http://a")
        #expect(
            reports.reloadStarted(atMicroseconds: 1_234_567)
                == "RELOADING=1\nMONOTONIC_USEC=1234567\nSTATUS=Reading the settings again.")
        #expect(
            reports.reloadEnded(problem: "jwt.secret:\ntoo short")
                == """
                READY=1
                STATUS=The reload failed, and the settings are unchanged: jwt.secret: too short
                """)
        // The failure stays visible until a reload succeeds.
        #expect(reports.tick(Self.condition(connections: 1)) == nil)
        #expect(reports.tick(Self.condition(problem: "store: slow")) != nil)
        #expect(
            reports.tick(Self.condition())?.hasPrefix("STATUS=The reload failed, and") == true)
        _ = reports.reloadStarted(atMicroseconds: 2)
        #expect(
            reports.reloadEnded(problem: nil)
                == "READY=1\nSTATUS=The settings have been read again.")
        #expect(
            reports.tick(Self.condition())
                == "STATUS=Serving clients at http://a; open connections: 0.")
    }
}
