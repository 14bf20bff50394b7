import Bytes
import ChatModel
import EngineIO
import EventLoop
import Testing

@testable import EngineTransport

/// The node that has the client, and forwards its requests to node 9.
@Suite("A request for a session on another node")
struct EngineServerForwardingTests {
    private static let session = "9.4.x"
    private static let unknown = "respond 1: 400 Session ID unknown"

    private struct Client {
        var driver = EngineServerDriver()
        let id: EngineSessionID

        init() throws {
            self.id = try #require(EngineSessionID(named: EngineServerForwardingTests.session))
        }

        var isIdle: Bool {
            let server = self.driver.server
            return server.requests.isEmpty && server.probes.isEmpty
                && server.outboundRequests.isEmpty && server.outboundProbes.isEmpty
                && !server.needsRetry
        }
    }

    /// The line of a message to the session's node.
    private static func asked(_ text: String, by identity: String = "-", _ body: String = "")
        -> String
    {
        let proof = text.hasPrefix("poll ") ? " report" : ""
        return "to 9.4: ask \(text) 1 \(self.session) \(identity)\(proof)\n\(body)"
    }

    // MARK: Polls

    @Test(
        "is answered with the reply",
        arguments: [
            ("payload\n4a\u{1E}4b", "respond 1: 4a + 4b"), ("taken\n", "respond 1: ok"),
            ("refused\n400 3", "respond 1: 400 Bad request"),
            ("refused\n400 3 close", "respond 1: 400 Bad request, close"),
            ("refused\n400 1", unknown), ("refused\n403 4", "respond 1: 403 Forbidden"),
            ("refused\n413 3", "respond 1: 413 Payload too large"),
            ("closed\n1008 over", unknown), ("departed\n0\u{1E}{}", unknown),
        ])
    func replies(_ reply: String, _ line: String) throws {
        var client = try Client()
        #expect(client.driver.poll(client.id, 1) == [Self.asked("poll #1")])
        #expect(client.driver.receive("answer #2 \(reply)") == [])
        let arrived = reply.hasPrefix("payload") ? [Self.asked("arrived 0", "#1")] : []
        #expect(client.driver.receive("answer #1 \(reply)") == [line] + arrived)
        #expect(client.driver.receive("answer #1 \(reply)") == [])
        #expect(client.isIdle)
    }

    @Test("has the mark of a poll, and then nobody reports its answer's arrival")
    func mark() throws {
        var client = try Client()
        #expect(
            client.driver.poll(client.id, 1, proof: .otherMark(7))
                == ["to 9.4: ask poll #1 1 9.4.x - 7\n"])
        #expect(client.driver.receive("answer #1 payload\n4a") == ["respond 1: 4a"])
    }

    @Test("is repeated every three seconds while it polls, however long that takes")
    func pollRetries() throws {
        var client = try Client()
        let message = Self.asked("poll #1", by: "dA.YW5u")
        let ann = EngineRequestIdentity(tenant: "t", tokenSubject: "ann")
        #expect(client.driver.poll(client.id, 1, by: ann) == [message])
        for _ in 0..<10 {
            #expect(client.driver.retry(after: 2_999) == [])
            #expect(client.driver.retry(after: 1) == [message])
        }
        #expect(
            client.driver.receive("answer #1 payload\n4a")
                == ["respond 1: 4a", Self.asked("arrived 0", "#1")])
        #expect(client.driver.retry(after: 100_000) == [] && client.isIdle)
    }

    @Test("ends with its connection, and the session's node is notified")
    func aborted() throws {
        var client = try Client()
        _ = client.driver.poll(client.id, 1, by: .invalidToken)
        #expect(client.driver.drop(1) == [Self.asked("broke 0", "#1")])
        #expect(client.isIdle && client.driver.receive("answer #1 payload\n4a") == [])
    }

    @Test("is refused at once if the node is not in the view, and later if it leaves the view")
    func members() throws {
        var client = try Client()
        client.driver.members = [7]
        #expect(client.driver.poll(client.id, 1) == [Self.unknown] && client.isIdle)
        client.driver.members = [7, 9]
        _ = client.driver.poll(client.id, 1)
        client.driver.members = [7]
        #expect(client.driver.retry(after: 2_999) == [])
        #expect(client.driver.retry(after: 1) == [Self.unknown] && client.isIdle)
    }

    // MARK: POSTs

    @Test("is one message if the body came with the head, and is repeated until it is answered")
    func wholePost() throws {
        var client = try Client()
        #expect(
            client.driver.postHead(client.id, 1, by: .invalidToken, bytes: 2, isWhole: true)
                == ["receive body 1"])
        let post = Self.asked("post #1", by: "!", "4a")
        #expect(client.driver.body("4a", 1) == [post])
        for _ in 0..<39 {
            #expect(client.driver.retry(after: 249) == [])
            #expect(client.driver.retry(after: 1) == [post])
        }
        #expect(client.driver.retry(after: 250) == [Self.unknown] && client.isIdle)
    }

    @Test("is two messages with one number if the body comes later")
    func partialPost() throws {
        var client = try Client()
        #expect(
            client.driver.postHead(client.id, 1, bytes: 20) == [
                Self.asked("began #1", "20"), "receive body 1",
            ])
        // The client may take any time.
        #expect(client.driver.retry(after: 2_999) == [])
        #expect(client.driver.retry(after: 20_000) == [Self.asked("began #1", "20")])
        #expect(client.driver.body("4a", 1) == [Self.asked("post #1", "4a")])
        #expect(client.driver.retry(after: 250) == [Self.asked("post #1", "4a")])
        #expect(client.driver.receive("answer #1 taken\n") == ["respond 1: ok"] && client.isIdle)

        #expect(
            client.driver.postHead(client.id, 1, bytes: nil).first == Self.asked("began #2"))
        #expect(client.driver.bodyTooLong(1) == [Self.asked("tooLong #2")])
        #expect(
            client.driver.receive("answer #2 refused\n413 3") == [
                "respond 1: 413 Payload too large, close"
            ])
        #expect(client.isIdle)

        _ = client.driver.postHead(client.id, 2, bytes: nil)
        _ = client.driver.bodyTooLong(2)
        #expect(client.driver.drop(2) == [] && client.isIdle)
    }

    @Test("has its body in base64 if that is not UTF-8")
    func binaryPost() throws {
        var client = try Client()
        _ = client.driver.postHead(client.id, 1, bytes: 2, isWhole: true)
        #expect(client.driver.body([0x34, 0xFF], 1) == [Self.asked("bytes #1", "NP8")])
    }

    @Test("is answered before its body is complete if the session's node refuses it")
    func refusedPost() throws {
        var client = try Client()
        _ = client.driver.postHead(client.id, 1, bytes: 40)
        #expect(
            client.driver.receive("answer #1 refused\n413 3 close") == [
                "respond 1: 413 Payload too large, close"
            ])
        #expect(client.driver.body("4a", 1) == [] && client.driver.bodyTooLong(1) == [])
        #expect(client.driver.drop(1) == [] && client.isIdle)
    }

    @Test("ends with its connection: the session's node is notified if the body is incomplete")
    func abortedPosts() throws {
        var client = try Client()
        _ = client.driver.postHead(client.id, 1, by: .invalidToken, bytes: 20)
        #expect(client.driver.drop(1) == [Self.asked("torn 0", by: "!", "#1")])
        #expect(client.isIdle)
        _ = client.driver.postHead(client.id, 2, bytes: 2, isWhole: true)
        #expect(client.driver.drop(2) == [Self.asked("torn 0", "#2")] && client.isIdle)
        _ = client.driver.postHead(client.id, 3, bytes: 2, isWhole: true)
        _ = client.driver.body("4a", 3)
        #expect(client.driver.drop(3) == [] && client.isIdle)
    }

    // MARK: WebSockets

    @Test("asks the session's node before it becomes a WebSocket")
    func probe() throws {
        var client = try Client()
        let ann = EngineRequestIdentity(tenant: "t", tokenSubject: "ann")
        #expect(
            client.driver.upgrade(client.id, 1, by: ann) == [
                Self.asked("probe #1", by: "dA.YW5u")
            ])
        #expect(client.driver.retry(after: 250).count == 1)
        #expect(client.driver.receive("answer #1 taken\n") == ["accept 1 for 11000 ms"])
        #expect(client.driver.receive("2probe", on: 1) == ["send 1: 3probe"])
        let take = Self.asked("take #2", "#1")
        #expect(client.driver.receive("5", on: 1) == ["pause 1", take])
        #expect(client.driver.retry(after: 249) == [] && client.driver.retry(after: 1) == [take])
        #expect(
            client.driver.receive("answer #2 departed\n7\u{1E}{}\u{1E}4a\u{1E}4b") == [
                #"adopt 1: 7 {} ["4a", "4b"]"#
            ])
        client.driver.server.adopted(SocketToken(1), at: client.driver.now)
        #expect(client.isIdle)
        #expect(client.driver.server.session(client.id) == SocketToken(1))
        // It is a session of this loop like any other.
        #expect(client.driver.receive("3", on: 1) == [] && client.driver.updates == 1)
        #expect(client.driver.poll(client.id, 2) == ["respond 2: 400 Bad request"])
        #expect(client.driver.tick(after: 300_000, 1) == ["send 1: 2"])
        #expect(client.driver.drop(1) == [] && client.driver.server.session(client.id) == nil)
    }

    @Test(
        "is refused or closed with the session's reply",
        arguments: [
            ("refused\n400 1", [unknown]), ("refused\n403 4", ["respond 1: 403 Forbidden"]),
            ("closed\n1008 over", ["accept 1 for 11000 ms", "close 1: 1008 over"]),
            ("payload\n4a", ["respond 1: 4a"]), ("departed\n0\u{1E}{}", [unknown]),
        ])
    func refusedProbes(_ reply: String, _ lines: [String]) throws {
        var client = try Client()
        _ = client.driver.upgrade(client.id, 1)
        #expect(client.driver.receive("answer #1 \(reply)") == lines)
        _ = client.driver.drop(1)
        #expect(client.isIdle)
    }

    @Test(
        "is closed if it does not send 2probe and then 5",
        arguments: [(["4a"], "2probe"), (["5"], "2probe"), (["2probe", "2probe"], "5")])
    func otherPackets(_ packets: [String], _ expected: String) throws {
        var client = try Client()
        _ = client.driver.upgrade(client.id, 1) + client.driver.receive("answer #1 taken\n")
        let line = "close 1: 1002 the packet \(expected) was expected"
        #expect(packets.map { client.driver.receive($0, on: 1) }.last == [line])
        #expect(client.driver.receiveBinary(on: 1) == [line])
        #expect(client.driver.drop(1) == [Self.asked("closed 0", "#1")] && client.isIdle)
    }

    @Test("is closed when the session closes it, before and after it asks to take over")
    func closedProbes() throws {
        var client = try Client()
        _ = client.driver.upgrade(client.id, 1) + client.driver.receive("answer #1 taken\n")
        #expect(client.driver.receive("answer #1 closed\n1008 slow") == ["close 1: 1008 slow"])
        #expect(client.driver.receive("answer #1 taken\n") == [])
        _ = client.driver.receive("2probe", on: 1) + client.driver.receive("5", on: 1)
        #expect(client.driver.receive("answer #2 closed\n1001 over") == ["close 1: 1001 over"])
        #expect(client.driver.drop(1) == [Self.asked("closed 0", "#1")] && client.isIdle)
    }

    @Test(
        "is closed if the session's node does not transfer the session",
        arguments: ["refused\n400 3", "taken\n", "payload\n4a"])
    func refusedTransfers(_ reply: String) throws {
        var client = try Client()
        _ = client.driver.upgrade(client.id, 1) + client.driver.receive("answer #1 taken\n")
        _ = client.driver.receive("2probe", on: 1) + client.driver.receive("5", on: 1)
        #expect(
            client.driver.receive("answer #2 \(reply)") == ["close 1: 1008 the session is over"])
    }

    @Test("gives up after ten seconds if the session's node does not answer")
    func lostTransfer() throws {
        var client = try Client()
        _ = client.driver.upgrade(client.id, 1) + client.driver.receive("answer #1 taken\n")
        _ = client.driver.receive("2probe", on: 1) + client.driver.receive("5", on: 1)
        #expect(client.driver.retry(after: 9_999).count == 1)
        #expect(client.driver.retry(after: 250) == ["close 1: 1008 the session is over"])
        // A transfer that comes later finds the WebSocket closing.
        #expect(client.driver.receive("answer #2 departed\n0\u{1E}{}") == [])
        #expect(client.driver.drop(1) == [Self.asked("closed 0", "#1")] && client.isIdle)
    }

    @Test(
        "is closed if the dialect cannot continue the session, and the session's node is notified")
    func failedAdoption() throws {
        var client = try Client()
        _ = client.driver.upgrade(client.id, 1) + client.driver.receive("answer #1 taken\n")
        _ = client.driver.receive("2probe", on: 1) + client.driver.receive("5", on: 1)
        // An unreadable transfer has no effect: the timeout of the WebSocket ends it.
        #expect(client.driver.receive("answer #2 departed\n?") == [])
        let lines = client.driver.run { $0.adoptionFailed(SocketToken(1), into: &$2) }
        #expect(lines == ["close 1: 1008 the session is over"])
        #expect(client.driver.drop(1) == [Self.asked("closed 0", "#1")] && client.isIdle)
    }

    @Test("is forgotten with its connection, whatever it waits for")
    func droppedProbes() throws {
        var client = try Client()
        _ = client.driver.upgrade(client.id, 1)
        #expect(client.driver.drop(1) == [] && client.isIdle)
        _ = client.driver.upgrade(client.id, 2) + client.driver.receive("answer #2 taken\n")
        _ = client.driver.receive("2probe", on: 2) + client.driver.receive("5", on: 2)
        #expect(client.driver.drop(2) == [Self.asked("closed 0", "#2")] && client.isIdle)
        #expect(client.driver.receive("answer #3 departed\n0\u{1E}{}") == [])
    }
}

extension EngineRequestIdentity {
    fileprivate init(tenant: String, tokenSubject: String) {
        self = .bearer(tenant: .init(tenant), user: UserID(tokenSubject: .init(tokenSubject)))
    }
}
