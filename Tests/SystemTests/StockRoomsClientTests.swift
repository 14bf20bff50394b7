import Foundation
import TestKit
import Testing

/// Stock clients of Socket.IO with default options, over every transport, with and without a load balancer that sends each request elsewhere.
@Suite("Rooms with a stock client")
struct StockRoomsClientTests {
    /// What connects, over what, to where.
    struct Case: CustomTestStringConvertible {
        let kind: StockRoomsKind
        let transport: StockTransport
        let deployment: Deployment
        var testDescription: String {
            "\(self.kind.testDescription) over \(self.transport.testDescription) \(self.deployment.testDescription)"
        }

        static let all = Deployment.allCases.flatMap { place in
            StockRoomsKind.allCases.flatMap { kind in
                StockTransport.allCases.map { Case(kind: kind, transport: $0, deployment: place) }
            }
        }
    }

    private func client(
        _ user: String, _ kind: StockRoomsKind, _ transport: StockTransport, _ site: DeployedSystem,
        _ browser: Browser?
    ) throws
        -> any StockRoomsClient
    {
        let token = try site.token(user, conversations: ["tea12345", "one", "two"])
        guard let browser else { return try PythonRooms(site, transport, token: token) }
        return try BrowserRooms(
            site, transport, token: token, in: browser.open(site.address + "/api/health"))
    }

    @Test(
        "two people talk: everything comes once and in order, and every question is answered",
        arguments: Case.all)
    func exchangeMessages(_ example: Case) throws {
        let site = try DeployedSystem(example.deployment)
        let browser = example.kind == .browser ? try Browser() : nil
        let ann = try self.client("ann", example.kind, example.transport, site, browser)
        let bob = try self.client("bob", example.kind, example.transport, site, browser)
        try ann.wait(for: "connected")
        try bob.wait(for: "connected")

        let state = try ann.call(
            "join_room", #"{"room_id":"tea12345","user_id":"ann","username":"Ann"}"#)
        #expect(state.bool("ok") == true && state.object("conversation")?["room_id"] == "tea12345")
        #expect(try bob.call("join_room", #"{"room_id":"tea12345"}"#).bool("ok") == true)
        try ann.wait(
            for:
                #"event user_joined {"room_id":"tea12345","user_id":"bob","username":"bob","timestamp":""#
        )

        for number in 1...30 {
            let (sender, id) = (number % 2 == 0 ? ann : bob, "n\(number)")
            let content = "message \(number)"
            if number % 3 == 0 {
                try sender.emit("send_message", #"{"room_id":"tea12345","content":"\#(content)"}"#)
                // Without an acknowledgement nobody says when it is stored.
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
        let wanted = (1...30).map { "message \($0)" }
        for client in [ann, bob] {
            try Deadline.wait(for: "all messages") {
                try client.deliveredContents(in: "tea12345").count >= wanted.count
            }
            #expect(try client.deliveredContents(in: "tea12345") == wanted)
        }

        // Typing is of the moment, and is said again as keys are pressed: who is just on the way to another node, with an upgrade that
        // took its time, hears none of it.
        try Deadline.wait(for: "typing") {
            try bob.emit("typing", #"{"room_id":"tea12345","is_typing":true}"#)
            let line =
                #"event user_typing {"room_id":"tea12345","user_id":"bob","username":"bob","is_typing":true}"#
            return (try? ann.wait(for: line, within: .seconds(1))) != nil
        }
        #expect(
            try ann.call("send_message", #"{"room_id":"tea12345","content":" "}"#)["error"]
                == "content: must not be empty")
        try ann.emit("send_message", #"{"room_id":"nowhere"}"#)
        try ann.wait(
            for:
                #"event error {"message":"content: is missing","event":"send_message","outcome":"refused"}"#
        )
        #expect(try bob.call("leave_room", #"{"room_id":"tea12345"}"#).bool("ok") == true)
        try ann.wait(
            for:
                #"event user_left {"room_id":"tea12345","user_id":"bob","username":"bob","timestamp":""#
        )
        #expect(
            try ann.lines.contains { $0.hasPrefix("connected \(example.transport.finalTransport)") }
                || example.kind == .python)
        #expect(
            try ann.lines.allSatisfy {
                !$0.hasPrefix("disconnected") && !$0.hasPrefix("connect_error")
            })
    }

    @Test("goes on where its connection broke, and a node that was killed is another's to replace")
    func recovery() throws {
        let site = try DeployedSystem(.cluster)
        let cluster = try #require(site.cluster)
        let browser = try Browser()
        let reader = try BrowserRooms(
            site, .upgrading, token: site.token("ann", conversations: ["one", "two"]),
            in: browser.open(site.address + "/api/health"))
        let writer = try PythonRooms(
            site, .polling, token: site.token("bob", conversations: ["one", "two"]))
        try reader.wait(for: "connected websocket")
        try writer.wait(for: "connected")
        for room in ["one", "two"] {
            #expect(try reader.call("join_room", #"{"room_id":"\#(room)"}"#).bool("ok") == true)
            #expect(try writer.call("join_room", #"{"room_id":"\#(room)"}"#).bool("ok") == true)
        }
        // Each room has its order; between two of them there is none.
        var wanted: [String: [String]] = [:]
        func say(_ content: String, in room: String) throws {
            // A node may just be dying: the same again, under the same id.
            try Deadline.wait(for: "\(content) to be stored", within: .seconds(60)) {
                let data =
                    #"{"room_id":"\#(room)","content":"\#(content)","local_id":"\#(content)"}"#
                return (try? writer.call("send_message", data))?.bool("ok") == true
            }
            wanted[room, default: []].append(content)
        }
        func waitForAll(_ what: String) throws {
            try Deadline.wait(
                for: "\(what): \(wanted), \((try? reader.lines) ?? [])", within: .seconds(60)
            ) {
                try wanted.allSatisfy { try reader.deliveredContents(in: $0).count >= $1.count }
            }
            for (room, contents) in wanted {
                #expect(try reader.deliveredContents(in: room) == contents)
            }
        }
        try say("first", in: "one")
        try say("second", in: "two")
        try waitForAll("both")

        try reader.breakConnection()
        try say("third", in: "two")
        // Whether the answer comes before the upgrade or after it is nobody's promise.
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
