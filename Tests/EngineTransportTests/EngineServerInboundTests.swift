import Bytes
import EngineIO
import EventLoop
import Testing

@testable import EngineTransport

/// The node that has the session. Node 9 forwards the requests of a client.
@Suite("A request that another node forwards")
struct EngineServerInboundTests {
    private static func reply(_ number: Int, _ text: String) -> String {
        "to 9.2: answer #\(number) \(text)"
    }

    // MARK: Execution

    @Test("is a poll: it is answered when packets come")
    func polls() {
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        #expect(driver.ask("poll", 1) == [] && driver.updates == 1)
        _ = driver.write("4a")
        #expect(driver.flush() == [Self.reply(1, "payload\n4a"), "resume 100"])
        _ = driver.write("4b")
        #expect(driver.ask("poll", 2) == [Self.reply(2, "payload\n4b"), "resume 100"])
    }

    @Test("is a poll: if its node ends before it has reported the arrival, the next poll gets all")
    func lostAnswers() {
        for isReported in [true, false] {
            var driver = EngineServerDriver()
            let id = driver.openPolling()
            _ = driver.ask("poll", 1, by: "- report")
            _ = driver.write("4a")
            #expect(driver.flush() == [Self.reply(1, "payload\n4a"), "resume 100"])
            #expect(driver.poll(id, 1) == [])
            if isReported { #expect(driver.ask("arrived", 0, "#1") == []) }
            let repeated = isReported ? [] : ["respond 1: 4a", "resume 100"]
            #expect(driver.tick(after: 500) == repeated)
        }
        // A poll with a mark needs no report.
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.ask("poll", 1, by: "- 7")
        _ = driver.write("4a")
        _ = driver.flush()
        #expect(driver.poll(id, 1, proof: .otherMark(7)) == ["respond 1: 4a", "resume 100"])
        #expect(driver.ask("poll", 2, by: "- 8") == [])
    }

    @Test(
        "is a POST: it has the effects of a local one",
        arguments: [
            ("4a\u{1E}4b", ["message 100: a", "message 100: b"], "taken\n", []),
            ("6", ["control 100"], "taken\n", []),
            ("1", [], "taken\n", ["end 100: 1001"]),
            ("6\u{1E}1", ["control 100"], "taken\n", ["end 100: 1001"]),
            ("abc", [], "refused\n400 3", ["end 100: 1002"]),
            ("", [], "refused\n400 3", ["end 100: 1002"]),
            ("2", [], "refused\n400 3", ["end 100: 1002"]),
            (String(repeating: "6", count: 31), [], "refused\n413 3 close", []),
        ] as [(String, [String], String, [String])])
    func posts(_ body: String, _ before: [String], _ reply: String, _ after: [String]) {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        let sent = Self.reply(1, reply)
        #expect(driver.ask("post", 1, body) == before + [sent, "resume 100"] + after)
        // A repetition has the same reply and no other effect.
        #expect(driver.ask("post", 1, body) == [sent])
        guard !after.isEmpty else { return }
        #expect(driver.drop(100) == [])
        #expect(driver.ask("post", 1, for: id, body) == [sent])
        #expect(driver.ask("post", 2, for: id, "6") == [Self.reply(2, "refused\n400 1 close")])
    }

    @Test("is a POST in parts, which may be lost or repeated")
    func partialPosts() {
        // The head, twice, and the body.
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        #expect(driver.ask("began", 1, "20") == [] && driver.ask("began", 1, "20") == [])
        #expect(
            driver.ask("post", 1, "4a") == [
                "message 100: a", Self.reply(1, "taken\n"), "resume 100",
            ])
        // The head was delayed.
        #expect(driver.ask("began", 1, "20") == [Self.reply(1, "taken\n")])

        // The head was lost.
        #expect(
            driver.ask("post", 2, "4b") == [
                "message 100: b", Self.reply(2, "taken\n"), "resume 100",
            ])
        #expect(driver.ask("tooLong", 3) == [Self.reply(3, "refused\n413 3 close"), "resume 100"])

        // A body that is not UTF-8 ends the session.
        #expect(
            driver.ask("bytes", 4, "NP8") == [
                Self.reply(4, "refused\n400 3"), "resume 100", "end 100: 1007",
            ])
        #expect(driver.ask("bytes", 5, "?") == [])
    }

    @Test("is a POST whose body is too long")
    func longPosts() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        let refused = Self.reply(1, "refused\n413 3 close")
        #expect(driver.ask("began", 1, "31") == [refused, "resume 100"])
        #expect(driver.ask("tooLong", 1) == [refused])
        // The head did not announce it. The body is not read, but the head was.
        #expect(driver.ask("began", 2) == [])
        #expect(driver.ask("tooLong", 2) == [Self.reply(2, "refused\n413 3"), "resume 100"])
        #expect(driver.post(id, 1, "6").last == "respond 1: ok")
    }

    @Test("is a second poll or POST: it ends the session, and all of them are answered")
    func secondRequests() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.poll(id, 1)
        #expect(
            driver.ask("poll", 1) == [
                Self.reply(1, "refused\n400 3"), "resume 100", "respond 1: 1", "resume 100",
                "end 100: 1008",
            ])
        var twice = EngineServerDriver()
        _ = twice.openPolling()
        _ = twice.ask("poll", 1)
        #expect(
            twice.ask("poll", 2) == [
                Self.reply(2, "refused\n400 3"), "resume 100", Self.reply(1, "payload\n1"),
                "resume 100", "end 100: 1008",
            ])
        var other = EngineServerDriver()
        _ = other.openPolling()
        _ = other.ask("poll", 1) + other.ask("began", 2, "5")
        #expect(
            other.ask("began", 3, "5") == [
                Self.reply(3, "refused\n400 3 close"), "resume 100",
                Self.reply(2, "refused\n400 3"), "resume 100",
                Self.reply(1, "payload\n1"), "resume 100", "end 100: 1008",
            ])
    }

    @Test("with the number of a pending one has an effect only if it has the body of that POST")
    func otherKinds() {
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        _ = driver.ask("poll", 1) + driver.ask("began", 2, "5")
        for kind in ["poll", "post", "probe", "tooLong"] {
            #expect(driver.ask(kind, 1, "6") == [])
        }
        for kind in ["began", "poll", "probe"] { #expect(driver.ask(kind, 2, "6") == []) }
        #expect(
            driver.ask("post", 2, "6")
                == ["control 100", Self.reply(2, "taken\n"), "resume 100"])
    }

    // MARK: Refusals

    @Test(
        "is refused without the session or with another user's token, if a reply is expected",
        arguments: [
            ("poll", "refused\n400 1", "refused\n403 4"),
            ("post", "refused\n400 1 close", "refused\n403 4 close"),
            ("bytes", "refused\n400 1 close", "refused\n403 4 close"),
            ("began", "refused\n400 1 close", "refused\n403 4 close"),
            ("tooLong", "refused\n400 1 close", "refused\n403 4 close"),
            ("probe", "refused\n400 1", "refused\n403 4"),
            ("take", "refused\n400 1", "refused\n403 4"), ("broke", nil, nil),
            ("closed", nil, nil), ("torn", nil, nil),
        ] as [(String, String?, String?)])
    func refusals(_ kind: String, unknown: String?, forbidden: String?) throws {
        var driver = EngineServerDriver()
        let id = try #require(EngineSessionID(named: "7.1.x"))
        #expect(
            driver.ask(kind, 1, for: id, "#2") == (unknown.map { [Self.reply(1, $0)] } ?? []))
        _ = driver.openPolling()
        #expect(
            driver.ask(kind, 1, by: "!", "#2") == (forbidden.map { [Self.reply(1, $0)] } ?? []))
        #expect(driver.server.sessions[SocketToken(100)]?.inbound.isEmpty == true)
    }

    // MARK: Lost connections and nodes

    @Test("ends the session when its connection has ended, also if its head was lost")
    func aborted() {
        for first in [[], ["began"]] {
            var driver = EngineServerDriver()
            _ = driver.openPolling()
            for kind in first { _ = driver.ask(kind, 1, "20") }
            #expect(driver.ask("torn", 0, "#1") == ["end 100: 1001"])
        }
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.ask("poll", 1)
        #expect(driver.ask("broke", 0, "#2") == [] && driver.ask("broke", 0, "?") == [])
        #expect(driver.ask("broke", 0, "#1") == ["end 100: 1001"])
        #expect(driver.drop(100) == [] && driver.ask("broke", 0, for: id, "#1") == [])
    }

    @Test("does not end the session after it was answered")
    func abortedLate() {
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        _ = driver.write("4a")
        _ = driver.ask("poll", 1)
        #expect(driver.ask("broke", 0, "#1") == [])
        _ = driver.ask("began", 2, "5") + driver.ask("post", 2, "6")
        #expect(driver.ask("torn", 0, "#2") == [])
    }

    @Test("is answered to the node and loop that repeated it last")
    func movedRequester() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.ask("poll", 1)
        #expect(driver.receive("ask poll #1 5 \(id.text) -\n", fromNode: 8) == [])
        _ = driver.write("4a")
        #expect(driver.flush() == ["to 8.5: answer #1 payload\n4a", "resume 100"])
    }

    @Test("ends the session if its node repeats neither a poll nor an incomplete POST for 10 s")
    func expiry() {
        for kind in ["poll", "began"] {
            var driver = EngineServerDriver()
            _ = driver.openPolling()
            _ = driver.ask(kind, 1)
            #expect(driver.tick(after: 10_000) == [])
            _ = driver.ask(kind, 1)
            #expect(driver.tick(after: 10_000) == [])
            #expect(driver.tick(after: 1) == ["end 100: 1001"])
        }
    }

    @Test("is forgotten ten seconds after its reply, which does not end the session")
    func forgotten() {
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        _ = driver.write("4a")
        _ = driver.ask("poll", 3)
        _ = driver.ask("post", 1, "6") + driver.ask("probe", 2)
        let closed = Self.reply(2, "closed\n1008 the upgrade took too long")
        #expect(driver.tick(after: 10_000) == [closed])
        #expect(driver.server.sessions[SocketToken(100)]?.inbound.count == 3)
        #expect(driver.tick(after: 1) == [] && driver.updates == 1)
        #expect(driver.server.sessions[SocketToken(100)]?.inbound.isEmpty == true)
        #expect(
            driver.ask("post", 1, "6")
                == ["control 100", Self.reply(1, "taken\n"), "resume 100"])
    }

    @Test("is answered when the connection of the session is dropped")
    func droppedSession() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.ask("poll", 1) + driver.ask("began", 2, "5")
        let (poll, post) = (Self.reply(1, "refused\n400 1"), Self.reply(2, "refused\n400 3"))
        #expect(Set(driver.drop(100)) == [poll, post])
        // Both replies are retained, for ten seconds.
        #expect(driver.ask("poll", 1, for: id) == [poll])
        #expect(driver.ask("post", 2, for: id, "6") == [post])
        #expect(driver.server.needsRetry && driver.retry(after: 9_999) == [])
        #expect(driver.ask("poll", 1, for: id) == [poll])
        #expect(driver.retry(after: 1) == [] && !driver.server.needsRetry)
        #expect(driver.ask("poll", 1, for: id) == [Self.reply(1, "refused\n400 1")])
    }

    // MARK: Bounds

    @Test("is remembered with the last poll and up to 32 others, the oldest first to go")
    func bounds() {
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        func remembered() -> Set<UInt64> {
            let inbound = driver.server.sessions[SocketToken(100)]?.inbound ?? [:]
            return Set(inbound.keys.map { $0 & 0xFFFF })
        }
        for number in 1...5 {
            _ = driver.write("4a")
            _ = driver.ask("poll", number)
        }
        #expect(remembered() == [5])
        _ = driver.ask("poll", 49)
        for number in 6...40 {
            driver.now += 1
            _ = driver.ask("post", number, "6")
        }
        // A request without a reply is never forgotten for another one.
        #expect(remembered() == Set(10...40).union([49]))
    }

    @Test("is not remembered after the session beyond 4096 of a loop")
    func retainedBounds() {
        var driver = EngineServerDriver()
        for session in 0..<140 {
            let id = driver.openPolling(100 + session)
            for number in 0..<32 {
                let message =
                    "ask post \(1 << 63 | UInt64(session * 32 + number)) 2 \(id.text) -\n6"
                _ = driver.receive(message)
            }
            _ = driver.drop(100 + session)
        }
        #expect(driver.server.retainedReplies.count == 4096)
    }

    // MARK: WebSockets

    @Test("is a WebSocket: it is accepted like one that has sent 2probe")
    func probes() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.poll(id, 1)
        #expect(
            driver.ask("probe", 1) == [
                Self.reply(1, "taken\n"), "resume 100", "respond 1: 6", "resume 100",
            ])
        #expect(driver.ask("probe", 1) == [Self.reply(1, "taken\n")])
        #expect(
            driver.ask("probe", 2) == [
                Self.reply(2, "closed\n1008 another WebSocket has this session already")
            ])
        #expect(driver.upgrade(id, 5).last?.hasPrefix("close 5: 1008 ") == true)
        // The client may try again after it was closed.
        #expect(driver.ask("closed", 0, "#1") == [])
        #expect(driver.ask("probe", 3).first == Self.reply(3, "taken\n"))
    }

    @Test("is a WebSocket: the session closes it, and repeats that")
    func closedProbes() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.ask("probe", 1)
        // The request is repeated until just before the upgrade took too long.
        _ = driver.tick(after: 5000)
        _ = driver.ask("probe", 1)
        let closed = Self.reply(1, "closed\n1008 the upgrade took too long")
        #expect(driver.tick(after: 5000) == [closed])
        #expect(driver.ask("probe", 1) == [closed])
        _ = driver.ask("probe", 2)
        #expect(
            driver.post(id, 1, "1").dropFirst() == [
                "respond 1: ok", Self.reply(2, "closed\n1001 the client closed the session"),
                "end 100: 1001",
            ])
    }
}
