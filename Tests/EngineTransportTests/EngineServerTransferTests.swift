import EngineIO
import EventLoop
import Testing

@testable import EngineTransport

/// The node that has the session. A WebSocket at node 9 takes over.
@Suite("A session that moves to another node")
struct EngineServerTransferTests {
    private static let session = SocketToken(100)

    private static func reply(_ number: Int, _ text: String) -> String {
        "to 9.2: answer #\(number) \(text)"
    }

    /// A session with a WebSocket at the other node that has sent `2probe` and `5`.
    private static func prepared(_ before: (inout EngineServerDriver) -> Void = { _ in })
        -> EngineServerDriver
    {
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        before(&driver)
        _ = driver.ask("probe", 1)
        #expect(driver.ask("take", 2, "#1") == ["prepare transfer 100"])
        return driver
    }

    @Test("takes its state and every packet along, and is unknown here")
    func transfer() {
        var driver = Self.prepared {
            _ = $0.write("4a")
            _ = $0.write("4b", staysWithPrevious: true)
        }
        let id = driver.id()
        let text = "departed\n500 + {\"a\":1} + 4a + 4b + 4c"
        #expect(
            driver.transfer(snapshot: #"{"a":1}"#, expiresAfter: 500, backlog: ["4c"]) == [
                Self.reply(2, text), "drop 100",
            ])
        #expect(driver.server.session(id) == nil)
        #expect(driver.drop(100) == [] && driver.server.sessions.isEmpty)
        // The transfer may be lost, so it is repeated, and so is the reply to the probe.
        #expect(driver.ask("take", 2, for: id, "#1") == [Self.reply(2, text)])
        #expect(driver.ask("probe", 1, for: id) == [Self.reply(1, "taken\n")])
        #expect(driver.ask("closed", 0, for: id, "#1") == [])
        #expect(driver.poll(id, 1) == ["respond 1: 400 Session ID unknown"])
        #expect(driver.retry(after: 10_000) == [] && !driver.server.needsRetry)
        #expect(
            driver.ask("take", 2, for: id, "#1") == [Self.reply(2, "refused\n400 1")])
    }

    @Test("answers the polls that it overtakes")
    func openRequests() {
        var driver = Self.prepared()
        let id = driver.id()
        #expect(driver.poll(id, 1) == ["respond 1: 6", "resume 100"])
        _ = driver.poll(id, 2) + driver.ask("began", 3, "5")
        #expect(
            driver.transfer(snapshot: "{}", backlog: ["4a"]) == [
                "respond 2: 6", "resume 100", Self.reply(3, "refused\n400 3"), "resume 100",
                Self.reply(2, "departed\n0 + {} + 4a"), "drop 100",
            ])
    }

    @Test("is asked for again while the gateway does not transfer it")
    func repetition() {
        var driver = Self.prepared()
        #expect(driver.ask("take", 2, "#1") == ["prepare transfer 100"])
        #expect(driver.transfers.count == 2 && driver.transfers[0] == driver.transfers[1])
        #expect(driver.ask("take", 2, "?") == [])
    }

    @Test("stays while messages of the client wait")
    func unread() {
        var driver = Self.prepared()
        let retained = driver.server.retainUnread([0x34], of: Self.session, isReadingPaused: true)
        #expect(retained)
        #expect(driver.ask("take", 2, "#1") == [])
        _ = driver.server.removeUnread(of: Self.session)
        #expect(driver.ask("take", 2, "#1") == ["prepare transfer 100"])
    }

    @Test("ends if the dialect has no snapshot")
    func noSnapshot() {
        var driver = Self.prepared()
        #expect(
            driver.transfer(snapshot: nil) == [Self.reply(2, "refused\n400 1"), "drop 100"])
        #expect(driver.server.session(driver.id()) == nil)
    }

    @Test("stays if another WebSocket takes over, or the one that asks is closed")
    func otherSocket() {
        for kind in ["closed", "local"] {
            var driver = EngineServerDriver()
            let id = driver.openPolling()
            _ = driver.ask("probe", 1) + driver.ask("take", 2, "#1")
            _ = driver.ask("closed", 0, "#1")
            if kind == "local" { driver.takeOver(id, on: 5, for: 100) }
            #expect(driver.transfer(snapshot: "{}") == [Self.reply(2, "refused\n400 3")])
            #expect(driver.server.session(id) == Self.session)
        }
    }

    @Test("has nothing to transfer after its connection was dropped")
    func dropped() {
        var driver = Self.prepared()
        _ = driver.drop(100)
        #expect(driver.transfer(snapshot: "{}") == [])
    }
}
