import Foundation
import TestKit
import TestTraits
import Testing

/// Third-party Socket.IO clients with default options, over every transport, at one node and behind
/// a load balancer.
@Suite("Rooms with a third-party client", .programs, .ownThread)
struct StockRoomsClientTests {
    /// The client library, its transport and the deployment.
    struct Case: CustomTestStringConvertible {
        let kind: StockRoomsKind
        let transport: StockTransport
        let deployment: Deployment
        var testDescription: String {
            "\(self.kind.testDescription) over \(self.transport.testDescription) "
                + "\(self.deployment.testDescription)"
        }

        static let all = Deployment.usual.flatMap { place in
            StockRoomsKind.allCases.flatMap { kind in
                StockTransport.allCases.map { Case(kind: kind, transport: $0, deployment: place) }
            }
        }
    }

    private func client(
        _ user: String, _ kind: StockRoomsKind, _ transport: StockTransport,
        _ system: DeployedSystem,
        _ browser: Browser?
    ) throws
        -> any StockRoomsClient
    {
        let token = try system.token(user, conversations: ["tea12345", "one", "two"])
        guard let browser else { return try PythonRooms(system, transport, token: token) }
        return try BrowserRooms(
            system, transport, token: token, in: browser.open(system.address + "/api/health"))
    }

    /// Presence is transient: a client that is moving to another node with an upgrade may miss a
    /// join. Then bob leaves and joins again.
    private func waitForJoin(
        of bob: any StockRoomsClient, at ann: any StockRoomsClient, _ example: Case
    ) throws {
        let line = self.presenceOfBob("user_joined")
        guard example.transport == .upgrading, example.deployment == .cluster else {
            return try ann.wait(for: line)
        }
        try Deadline.wait(for: line) {
            if (try? ann.wait(for: line, within: .seconds(1))) != nil { return true }
            for request in ["leave_room", "join_room"] {
                let answer = try bob.call(request, #"{"room_id":"tea12345"}"#)
                #expect(answer.bool("ok") == true)
            }
            return false
        }
    }

    /// The beginning of the line of an event `user_joined` or `user_left`.
    private func presenceOfBob(_ event: String) -> String {
        #"event \#(event) {"room_id":"tea12345","user_id":"bob","username":"bob","timestamp":""#
    }

    @Test(
        "delivers messages once and in order, and answers every request",
        arguments: Case.all)
    func exchangeMessages(_ example: Case) throws {
        let system = try DeployedSystem(example.deployment)
        let browser = example.kind == .browser ? try Browser() : nil
        let ann = try self.client("ann", example.kind, example.transport, system, browser)
        let bob = try self.client("bob", example.kind, example.transport, system, browser)
        try ann.wait(for: "connected")
        try bob.wait(for: "connected")

        let state = try ann.call(
            "join_room", #"{"room_id":"tea12345","user_id":"ann","username":"Ann"}"#)
        #expect(state.bool("ok") == true && state.object("conversation")?["room_id"] == "tea12345")
        #expect(try bob.call("join_room", #"{"room_id":"tea12345"}"#).bool("ok") == true)
        try self.waitForJoin(of: bob, at: ann, example)

        for number in 1...30 {
            let (sender, id) = (number % 2 == 0 ? ann : bob, "n\(number)")
            let content = "message \(number)"
            if number % 3 == 0 {
                try sender.emit("send_message", #"{"room_id":"tea12345","content":"\#(content)"}"#)
                // Without an acknowledgement, the sender does not know when the message is stored.
                try Deadline.wait(for: content) {
                    try ann.deliveredContents(in: "tea12345").contains(content)
                }
            } else {
                let answer = try sender.call(
                    "send_message",
                    #"{"room_id":"tea12345","content":"\#(content)","local_id":"\#(id)"}"#)
                #expect(
                    answer.bool("ok") == true && answer["id"] == String(number)
                        && answer["local_id"] == id)
            }
        }
        let expected = (1...30).map { "message \($0)" }
        for client in [ann, bob] {
            try Deadline.wait(for: "all messages") {
                try client.deliveredContents(in: "tea12345").count >= expected.count
            }
            #expect(try client.deliveredContents(in: "tea12345") == expected)
        }

        // Typing is transient and is repeated with each key press. A client that is moving to
        // another node with an upgrade may miss it.
        try Deadline.wait(for: "typing") {
            try bob.emit("typing", #"{"room_id":"tea12345","is_typing":true}"#)
            let line =
                #"event user_typing "#
                + #"{"room_id":"tea12345","user_id":"bob","username":"bob","is_typing":true}"#
            return (try? ann.wait(for: line, within: .seconds(1))) != nil
        }
        #expect(
            try ann.call("send_message", #"{"room_id":"tea12345","content":" "}"#)["error"]
                == "content: must not be empty")
        try ann.emit("send_message", #"{"room_id":"nowhere"}"#)
        try ann.wait(
            for:
                #"event error {"message":"content: is "#
                + #"missing","event":"send_message","outcome":"refused"}"#
        )
        let left = self.presenceOfBob("user_left")
        let departures = try ann.lines.count { $0.hasPrefix(left) }
        #expect(try bob.call("leave_room", #"{"room_id":"tea12345"}"#).bool("ok") == true)
        try Deadline.wait(for: left) {
            try ann.lines.count { $0.hasPrefix(left) } > departures
        }
        #expect(
            try ann.lines.contains { $0.hasPrefix("connected \(example.transport.finalTransport)") }
                || example.kind == .python)
        #expect(
            try ann.lines.allSatisfy {
                !$0.hasPrefix("disconnected") && !$0.hasPrefix("connect_error")
            })
    }

    @Test("that polls comes back after its node drains, and gets what was queued and what follows")
    func drain() throws {
        let system = try DeployedSystem(.cluster)
        let cluster = try #require(system.cluster)
        let browser = try Browser()
        let python = try self.client("ann", .python, .polling, system, nil)
        let page = try self.client("bob", .browser, .polling, system, browser)
        func joinRoom(_ client: any StockRoomsClient) throws -> Bool {
            try client.call("join_room", #"{"room_id":"one"}"#).bool("ok") == true
        }
        for client in [python, page] {
            try client.wait(for: "connected")
            #expect(try joinRoom(client))
        }
        var expected: [String] = []
        for (number, node) in cluster.nodes.enumerated() {
            // It is connected to a node that stays.
            let writer = ConversationClient(
                try RawWebSocketClient(
                    system.path(to: "one", as: "carl", conversations: ["one"]),
                    port: cluster.nodes[(number + 1) % cluster.nodes.count].port))
            func say(_ content: String) throws {
                try writer.post(content, as: content)
                expected.append(content)
            }
            for part in 1...5 { try say("\(number): queued \(part)") }
            kill(node.process, SIGTERM)
            for part in 1...5 { try say("\(number): meanwhile \(part)") }
            try cluster.awaitRestart(of: node)
            // Without recovery, this client has to join again, and then has the newest messages.
            try Deadline.wait(for: "the Python client to join", untilTrue: { try joinRoom(python) })
            try Deadline.wait(for: "the Python client to have \(expected)") {
                try python.knownContents(in: "one") == Set(expected)
            }
            try Deadline.wait(for: "the page to have \(expected)") {
                try page.deliveredContents(in: "one").count >= expected.count
            }
            let last = "\(number): afterwards"
            try say(last)
            for client in [python, page] {
                try Deadline.wait(for: last) {
                    try client.deliveredContents(in: "one").contains(last)
                }
            }
        }
        #expect(try page.deliveredContents(in: "one") == expected)
        let delivered = try python.deliveredContents(in: "one")
        #expect(Set(delivered).count == delivered.count)
        // Each session was at one of the nodes.
        for client in [python, page] {
            #expect(try client.lines.contains { $0.hasPrefix("disconnected") })
            #expect(try client.lines.count { $0.hasPrefix("connected") } > 1)
        }
    }

    @Test("recovers after a broken connection and after a node was killed")
    func recovery() throws {
        let system = try DeployedSystem(.cluster)
        let cluster = try #require(system.cluster)
        let browser = try Browser()
        let reader = try BrowserRooms(
            system, .upgrading, token: system.token("ann", conversations: ["one", "two"]),
            in: browser.open(system.address + "/api/health"))
        let writer = try PythonRooms(
            system, .polling, token: system.token("bob", conversations: ["one", "two"]))
        try reader.wait(for: "connected websocket")
        try writer.wait(for: "connected")
        for room in ["one", "two"] {
            #expect(try reader.call("join_room", #"{"room_id":"\#(room)"}"#).bool("ok") == true)
            #expect(try writer.call("join_room", #"{"room_id":"\#(room)"}"#).bool("ok") == true)
        }
        // Each room has its own order; there is none between rooms.
        var expected: [String: [String]] = [:]
        func say(_ content: String, in room: String) throws {
            // A node may be failing, so the send is repeated with the same id. If the killed node
            // had a POST for the session of another node, the client sends nothing more until the
            // next ping, after up to 25 seconds: findings/engineio-lost-post.sh.
            try Deadline.wait(
                for: "\(content) to be stored: \(writer.lines.suffix(40))",
                within: .seconds(120)
            ) {
                let data =
                    #"{"room_id":"\#(room)","content":"\#(content)","local_id":"\#(content)"}"#
                return (try? writer.call("send_message", data))?.bool("ok") == true
            }
            expected[room, default: []].append(content)
        }
        func waitForAll(_ description: String) throws {
            try Deadline.wait(
                for: "\(description): \(expected), \((try? reader.lines) ?? [])",
                within: .seconds(60)
            ) {
                try expected.allSatisfy { try reader.deliveredContents(in: $0).count >= $1.count }
            }
            for (room, contents) in expected {
                #expect(try reader.deliveredContents(in: room) == contents)
            }
        }
        try say("first", in: "one")
        try say("second", in: "two")
        try waitForAll("both")

        try reader.breakConnection()
        try say("third", in: "two")
        // The acknowledgement may come before or after the upgrade.
        try Deadline.wait(
            for: "a recovered session in \((try? reader.lines) ?? [])", within: .seconds(30)
        ) {
            try reader.lines.contains { $0.hasPrefix("connected ") && $0.hasSuffix(" recovered") }
        }
        try say("fourth", in: "one")
        try waitForAll("what was missed")

        for node in cluster.nodes.prefix(2) {
            kill(node.process, SIGKILL)
            for number in 1...5 {
                try say("\(node.name) died \(number)", in: number % 2 == 0 ? "one" : "two")
            }
            try waitForAll("everything, once and in order, after \(node.name) died")
        }
        #expect(try reader.lines.allSatisfy { !$0.hasPrefix("event error") })
    }
}
