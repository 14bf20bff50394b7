import EngineIO
import EventLoop
import Testing

@testable import EngineTransport

/// WebSockets that take over a polling session on the same loop.
@Suite("A WebSocket that takes over a polling session")
struct EngineServerUpgradeTests {
    @Test("gets the packets that waited, and the session's packets from then on")
    func takeOver() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.write("4a")
        _ = driver.flush()
        #expect(driver.upgrade(id, 5) == ["accept 5"] && driver.updates == 1)
        #expect(driver.receive("2probe", on: 5) == ["send 5: 3probe"])
        #expect(driver.poll(id, 1) == ["respond 1: 4a", "resume 100"])
        // A client whose last poll returned sends `5`.
        _ = driver.write("4b")
        _ = driver.write("4c")
        #expect(
            driver.receive("5", on: 5) == ["send 5: 4b", "send 5: 4c", "attach 5 to 100"])

        // While the socket is being attached, nothing can be written.
        #expect(driver.write("4d") == false)
        #expect(driver.server.hasWaitingPackets(SocketToken(100)))
        #expect(driver.flush() == [])
        driver.server.socketAttached(SocketToken(100))
        #expect(!driver.server.hasWaitingPackets(SocketToken(100)))
        #expect(driver.server.probes.isEmpty)

        // The session's connection has the socket.
        #expect(driver.tick(after: 300_000) == ["send 100: 2"])
        #expect(driver.receive("3", on: 100) == [])
        #expect(driver.tick(after: 300_000) == ["send 100: 2"])
        #expect(driver.poll(id, 2) == ["respond 2: 400 Bad request"])
        #expect(driver.post(id, 3, "6") == ["respond 3: 400 Bad request, close"])
        #expect(driver.receive("x", on: 100).first?.hasPrefix("close 100: 1002 ") == true)
        #expect(driver.drop(100) == [])
        #expect(driver.server.sessions.isEmpty && driver.server.sessionTokens.isEmpty)
    }

    @Test("lets a waiting poll return, and answers a poll and a POST that it overtakes")
    func openRequests() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.poll(id, 1)
        _ = driver.upgrade(id, 5)
        #expect(
            driver.receive("2probe", on: 5) == [
                "send 5: 3probe", "respond 1: 6", "resume 100",
            ])
        #expect(driver.poll(id, 2) == [])
        #expect(driver.tick(after: 99) == [])
        #expect(driver.tick(after: 1) == ["respond 2: 6", "resume 100"])
        _ = driver.poll(id, 3)
        _ = driver.postHead(id, 4, bytes: 5)
        #expect(
            driver.receive("5", on: 5) == [
                "respond 3: 6", "resume 100", "respond 4: 400 Bad request", "attach 5 to 100",
            ])
    }

    @Test(
        "is closed if it sends another packet, and polling continues",
        arguments: [
            ([], "4a", "the packet 2probe was expected"),
            ([], "5", "the packet 2probe was expected"),
            (["2probe"], "2probe", "the packet 5 was expected"),
        ] as [([String], String, String)])
    func otherPackets(_ before: [String], _ packet: String, _ reason: String) {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.upgrade(id, 5)
        for packet in before { _ = driver.receive(packet, on: 5) }
        #expect(driver.receive(packet, on: 5) == ["close 5: 1002 \(reason)"])
        #expect(driver.drop(5) == [])
        #expect(driver.post(id, 1, "6").last == "respond 1: ok")
        #expect(driver.server.probes.isEmpty)
    }

    @Test("is closed if it sends a binary message, and polling continues")
    func binary() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.upgrade(id, 5)
        #expect(
            driver.receiveBinary(on: 5) == ["close 5: 1002 a packet of text was expected"])
        #expect(driver.poll(id, 1) == [])
        #expect(driver.receiveBinary(on: 100) == [])
    }

    @Test("is closed if it is too slow, or if another one was first")
    func timeout() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.upgrade(id, 5)
        #expect(
            driver.upgrade(id, 6) == [
                "accept 6", "close 6: 1008 another WebSocket has this session already",
            ])
        #expect(driver.drop(6) == [])
        #expect(driver.tick(after: 9_999) == [])
        #expect(driver.tick(after: 1) == ["close 5: 1008 the upgrade took too long"])
        #expect(driver.drop(5) == [])
        #expect(driver.upgrade(id, 7) == ["accept 7"])
    }

    @Test("does not end the session when it closes early")
    func closedProbe() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.upgrade(id, 5)
        #expect(driver.drop(5) == [] && driver.updates == 1)
        #expect(driver.upgrade(id, 6) == ["accept 6"])
    }

    @Test("ends the session when it closes before its socket is attached")
    func closedWhileAttaching() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.upgrade(id, 5)
        _ = driver.receive("2probe", on: 5)
        _ = driver.receive("5", on: 5)
        #expect(driver.drop(5) == ["end 100: 1001"])
        #expect(driver.drop(100) == [])
        driver.server.socketAttached(SocketToken(100))
        #expect(driver.server.sessions.isEmpty && driver.server.probes.isEmpty)
    }

    @Test("belongs to no session if the session's connection is dropped while it is attached")
    func droppedWhileAttaching() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.upgrade(id, 5)
        _ = driver.receive("2probe", on: 5)
        _ = driver.receive("5", on: 5)
        #expect(driver.drop(100) == [])
        #expect(driver.server.probes.isEmpty && driver.server.session(id) == nil)
        #expect(driver.receive("4a", on: 5) == [] && driver.drop(5) == [])
    }

    @Test("is closed with the session that it was to take over")
    func sessionEnds() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.upgrade(id, 5)
        #expect(
            driver.post(id, 1, "1") == [
                "receive body 1", "respond 1: ok", "close 5: 1001 the client closed the session",
                "end 100: 1001",
            ])
        #expect(driver.drop(100) == [] && driver.receive("2probe", on: 5) == [])
        #expect(driver.drop(5) == [] && driver.server.probes.isEmpty)
    }

    @Test("keeps its pings while its socket is being attached, and none is due for a probe")
    func pings() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.upgrade(id, 5)
        _ = driver.receive("2probe", on: 5)
        _ = driver.receive("5", on: 5)
        #expect(driver.tick(after: 1_000_000, 5) == [])
        // The frame waits with the caller, until the socket is attached.
        #expect(driver.tick(after: 0) == ["send 100: 2"])
    }
}
