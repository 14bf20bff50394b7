import Bytes
import ChatModel
import EngineIO
import EventLoop
import HTTPWire
import Testing

@testable import EngineTransport

@Suite("An Engine.IO server and the requests of its clients")
struct EngineServerRequestTests {
    private static let settings = EngineServerDriver.settings

    // MARK: Handshakes

    @Test("opens a session for a handshake, and its id names node and loop")
    func handshake() {
        var driver = EngineServerDriver(node: 40, loop: 2)
        let lines = driver.run {
            $0.openSession(
                SocketToken(100), by: SocketToken(1), hasInvalidToken: false, at: $1, into: &$2)
        }
        let sid = "14.2.AQAAAAAAAAACAAAAAAAAAA"
        let payload =
            #"0{"sid":"\#(sid)","upgrades":["websocket"],"pingInterval":300000,"#
            + #""pingTimeout":200,"maxPayload":30}"#
        #expect(lines == ["respond 1: \(payload)", "resume 100"])
        #expect(driver.updates == 1)
        #expect(driver.id(100).text == sid)
        #expect(driver.server.session(driver.id(100)) == SocketToken(100))
        #expect(driver.server.deadline(SocketToken(100)) == 301_000)
        #expect(driver.server.deadline(SocketToken(1)) == nil)
    }

    @Test("opens a session on a WebSocket, and its packets go to that WebSocket")
    func webSocketHandshake() {
        var driver = EngineServerDriver()
        let lines = driver.openWebSocket(5)
        #expect(lines.count == 1 && lines[0].hasPrefix(#"send 5: 0{"sid":"7.1."#))
        #expect(lines[0].contains(#""upgrades":[],"#))
        #expect(driver.tick(after: 300_000, 5) == ["send 5: 2"])
        #expect(driver.receive("3", on: 5) == [])
        #expect(driver.receive("4hello", on: 5) == ["message 5: hello"])
        #expect(driver.receive("1", on: 5) == ["close 5: 1001 the client closed the session"])
        // Its connection ends by the close handshake, and its id is unknown at once.
        #expect(driver.server.session(driver.id(5)) == nil)
        #expect(driver.poll(driver.id(5), 6) == ["respond 6: 400 Session ID unknown"])
        #expect(driver.drop(5) == [])
        #expect(driver.server.deadline(SocketToken(5)) == nil)
    }

    @Test("makes ids with the incarnation under which the node has rejoined the cluster")
    func rejoin() {
        var driver = EngineServerDriver(node: 7)
        driver.server.rejoin(as: 8)
        #expect(driver.openPolling().text.hasPrefix("8.1."))
    }

    @Test("reports each posted packet that is no message, for the client's rate")
    func controlPackets() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        #expect(
            driver.post(id, 1, "3\u{1E}4a\u{1E}6\u{1E}bAA==") == [
                "receive body 1", "control 100", "message 100: a", "control 100", "binary 100",
                "respond 1: ok",
            ])
    }

    @Test("accepts a frame beyond the user's bound only into an empty queue")
    func fullUser() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        func write(_ packet: String) -> Bool {
            driver.server.write(
                .packet(SharedPacket(SharedFrame(Array(packet.utf8))), staysWithPrevious: false),
                to: SocketToken(100), onlyIfEmpty: true, at: 0)
        }
        #expect(write("4a") && !write("4b"))
        #expect(driver.server.waitingBytes(SocketToken(100)) == 2)
        #expect(driver.poll(id, 1) == ["respond 1: 4a", "resume 100"])
        #expect(driver.server.waitingBytes(SocketToken(100)) == 0)
        #expect(write("4b"))
    }

    // MARK: Polls

    @Test("answers a poll with the packets that wait, or with the next ones at the end of a turn")
    func polls() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        #expect(driver.write("4a") && driver.write("4b"))
        #expect(driver.server.hasWaitingPackets(SocketToken(100)))
        #expect(driver.flush() == [])
        #expect(driver.poll(id, 1) == ["respond 1: 4a + 4b", "resume 100"])
        #expect(!driver.server.hasWaitingPackets(SocketToken(100)))

        #expect(driver.poll(id, 2) == [] && driver.updates == 1)
        #expect(driver.write("4c") && driver.write("4d"))
        #expect(driver.server.needsFlush)
        #expect(driver.flush() == ["respond 2: 4c + 4d", "resume 100"] && driver.updates == 1)
        #expect(!driver.server.needsFlush)
        #expect(driver.flush() == [] && driver.updates == 0)
    }

    @Test("ends the session for a second poll, and answers both")
    func secondPoll() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.poll(id, 1)
        #expect(
            driver.poll(id, 2) == [
                "respond 2: 400 Bad request", "respond 1: 1", "resume 100", "end 100: 1008",
            ])
        // The id is known until the connection of the session is dropped.
        #expect(driver.post(id, 3, "6") == ["respond 3: 400 Session ID unknown, close"])
        #expect(driver.drop(100) == [])
        #expect(driver.server.session(id) == nil)
        #expect(driver.poll(id, 4) == ["respond 4: 400 Session ID unknown"])
    }

    @Test("ends the session when the connection of a waiting poll closes, not of an answered one")
    func abortedPolls() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.poll(id, 1)
        _ = driver.write("4a")
        _ = driver.flush()
        #expect(driver.drop(1) == [])
        _ = driver.poll(id, 2)
        #expect(driver.drop(2) == ["end 100: 1001"])
    }

    @Test("answers the waiting poll when the connection of the session is dropped")
    func droppedSession() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.poll(id, 1)
        _ = driver.write("4a")
        #expect(driver.drop(100) == ["respond 1: 4a", "resume 100"])
        #expect(driver.server.session(id) == nil && driver.server.requests.isEmpty)
        #expect(driver.flush() == [])
    }

    // MARK: POSTs

    @Test(
        "receives a POST: its messages come before the answer",
        arguments: [
            ("4hello", ["message 100: hello", "respond 2: ok"]),
            (
                "4a\u{1E}4\u{1E}6",
                ["message 100: a", "message 100: ", "control 100", "respond 2: ok"]
            ),
            ("6", ["control 100", "respond 2: ok"]),
            ("bAQID", ["binary 100", "respond 2: ok"]),
            ("1", ["respond 2: ok", "respond 1: 6", "resume 100", "end 100: 1001"]),
            (
                "2",
                ["respond 2: 400 Bad request", "respond 1: 1", "resume 100", "end 100: 1002"]
            ),
            (
                "",
                ["respond 2: 400 Bad request", "respond 1: 1", "resume 100", "end 100: 1002"]
            ),
            ("6\u{1E}6\u{1E}6\u{1E}6\u{1E}6\u{1E}6", ["respond 2: 413 Payload too large"]),
        ] as [(String, [String])])
    func posts(_ body: String, _ lines: [String]) {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.poll(id, 1)
        #expect(driver.postHead(id, 2, bytes: body.utf8.count) == ["receive body 2"])
        #expect(driver.body(body, 2) == lines)
    }

    @Test("refuses bytes that are not UTF-8 and ends the session")
    func binaryPost() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        #expect(driver.postHead(id, 2, bytes: 2) == ["receive body 2"])
        #expect(
            driver.body([0x34, 0xFF], 2) == ["respond 2: 400 Bad request", "end 100: 1007"])
    }

    @Test("refuses a POST that is too long, and closes its connection")
    func longPosts() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        #expect(
            driver.postHead(id, 1, bytes: 31) == ["respond 1: 413 Payload too large, close"])
        #expect(driver.body("6", 1) == [] && driver.bodyTooLong(1) == [])
        #expect(driver.postHead(id, 2, bytes: nil) == ["receive body 2"])
        #expect(driver.bodyTooLong(2) == ["respond 2: 413 Payload too large, close"])
        // The client knows that nothing was accepted, so the session continues.
        #expect(driver.post(id, 3, "6") == ["receive body 3", "control 100", "respond 3: ok"])
    }

    @Test("ends the session for a second POST, and when a POST is incomplete")
    func incompletePosts() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        _ = driver.postHead(id, 1, bytes: 5)
        // A POST without a body, too: it is refused before its body is complete.
        #expect(
            driver.postHead(id, 2, bytes: 0) == [
                "respond 2: 400 Bad request, close", "respond 1: 400 Bad request", "end 100: 1008",
            ])
        var other = EngineServerDriver()
        let otherID = other.openPolling()
        _ = other.postHead(otherID, 1, bytes: 5)
        #expect(other.drop(1) == ["end 100: 1001"])
    }

    @Test("closes the connection of a POST for an unknown session only if it has a body")
    func unknownPosts() {
        var driver = EngineServerDriver()
        let id = EngineSessionID(random: (1, 1))
        #expect(driver.postHead(id, 1, bytes: 0) == ["respond 1: 400 Session ID unknown"])
        #expect(driver.postHead(id, 2, bytes: 1) == ["respond 2: 400 Session ID unknown, close"])
        #expect(driver.postHead(id, 3, bytes: nil) == ["respond 3: 400 Session ID unknown, close"])
        #expect(driver.server.requests.isEmpty)
    }

    // MARK: Routing

    @Test(
        "finds the session by its id: here, at another loop, at another node, or nowhere",
        arguments: [
            ("7.0.x", ["move 1 to loop 0"]), ("7.2.x", ["move 1 to loop 2"]),
            // The ids of this loop are all in its table.
            ("7.1.x", ["respond 1: 400 Session ID unknown"]),
            ("7.3.x", ["respond 1: 400 Session ID unknown"]),
            ("7.-1.x", ["respond 1: 400 Session ID unknown"]),
            ("7.70000.x", ["respond 1: 400 Session ID unknown"]),
            ("8.0.x", ["respond 1: 400 Session ID unknown"]),
            ("x", ["respond 1: 400 Session ID unknown"]),
            ("9.4.x", ["to 9.4: ask poll #1 1 9.4.x - report\n"]),
            ("9.70000.x", ["to 9.65535: ask poll #1 1 9.70000.x - report\n"]),
        ] as [(String, [String])])
    func routes(_ sid: String, _ lines: [String]) throws {
        var driver = EngineServerDriver()
        #expect(driver.poll(try #require(EngineSessionID(named: sid)), 1) == lines)
    }

    @Test("does not move a connection with an unsent response, and follows both incarnations")
    func routesOfIncarnations() throws {
        let (old, new) = ("7.0.x", "8.0.x")
        var driver = EngineServerDriver()
        driver.server.rejoin(as: 8)
        for sid in [old, new] {
            let id = try #require(EngineSessionID(named: sid))
            #expect(driver.poll(id, 1) == ["move 1 to loop 0"])
            #expect(
                driver.poll(id, 1, canMove: false) == ["respond 1: 400 Session ID unknown"])
        }
        #expect(driver.server.requests.isEmpty)
    }

    private static let ann = UserID(tokenSubject: "ann")

    @Test(
        "refuses requests by another user's token or an invalid one, and the session continues",
        arguments: [
            (.noToken, false, true), (.invalidToken, false, false), (.invalidToken, true, true),
            (.bearer(tenant: "t", user: ann), false, true),
            (.bearer(tenant: "u", user: ann), false, false),
            (.bearer(tenant: "t", user: UserID(tokenSubject: "bob")), false, false),
        ] as [(EngineRequestIdentity, Bool, Bool)])
    func identities(_ identity: EngineRequestIdentity, hasInvalidToken: Bool, isAllowed: Bool) {
        var driver = EngineServerDriver()
        let id = driver.openPolling(hasInvalidToken: hasInvalidToken)
        let refused = "403 Forbidden"
        #expect(
            driver.postHead(id, 1, by: identity, bytes: 1)
                == [isAllowed ? "receive body 1" : "respond 1: \(refused), close"])
        #expect(driver.poll(id, 2, by: identity) == (isAllowed ? [] : ["respond 2: \(refused)"]))
        #expect(
            driver.upgrade(id, 3, by: identity)
                == [isAllowed ? "accept 3" : "respond 3: \(refused)"])
        #expect(
            driver.ask("probe", 9, by: identity.text)
                == [
                    "to 9.2: answer #9 "
                        + (isAllowed
                            ? "closed\n1008 another WebSocket has this session already"
                            : "refused\n403 4")
                ])
        #expect(driver.server.session(id) != nil)
    }

    // MARK: Responses

    @Test("responds with the status, type and body that clients expect, and is never cached")
    func responses() {
        let noStore = HTTPField("Cache-Control", "no-store")
        let table: [(EngineResponse, Int, String, [HTTPField], String)] = [
            (.payload([0x34]), 200, "text/plain; charset=UTF-8", [noStore], "4"),
            (.accepted, 200, "text/html", [noStore], "ok"),
            (
                .refused(.badRequest), 400, "application/json", [noStore],
                #"{"code":3,"message":"Bad request"}"#
            ),
            (
                .refused(.unavailable), 503, "application/json",
                [noStore, HTTPField("Retry-After", "1")],
                #"{"code":4,"message":"Unavailable; come again"}"#
            ),
        ]
        for (response, status, type, fields, body) in table {
            #expect(response.status.rawValue == status && "\(response.contentType)" == type)
            #expect(response.fields == fields)
            #expect(String(decoding: response.body, as: UTF8.self) == body)
        }
    }
}
