import Foundation
import TestKit
import TestTraits
import Testing

/// Features of Pets, Chats and Agents beyond a single conversation, with clients on different
/// nodes.
@Suite("Pets, Chats and Agents at two nodes", .programs, .serialized, .ownThread)
struct TwoNodesTests {
    /// A client of a protocol with JSON frames.
    private struct JSONFrameClient {
        let socket: RawWebSocketClient
        /// The field that contains the type of a frame.
        let typeField: String

        @discardableResult
        func next(_ type: String) throws -> JSONObject {
            while true {
                guard case .text(let text) = try self.socket.next() else {
                    throw TestFailure("the connection ended before \(type)")
                }
                let frame = try JSONObject(text)
                if frame[self.typeField] == type { return frame }
            }
        }

        @discardableResult
        func request(_ text: String, for type: String) throws -> JSONObject {
            try self.socket.send(text)
            return try self.next(type)
        }
    }

    private let cluster: LocalCluster
    private let secret: String

    init() throws {
        self.cluster = try LocalCluster(["2"])
        self.secret = try self.cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
    }

    private func connect(
        _ path: String, _ user: String, at node: Int, tenant: String? = nil, isAdmin: Bool = false,
        typeField kind: String = "type"
    ) throws -> JSONFrameClient {
        let token = try ConfabServer.token(
            for: user, tenant: tenant, isAdmin: isAdmin, secret: self.secret)
        return JSONFrameClient(
            socket: try RawWebSocketClient(
                "\(path)?token=\(token)", port: self.cluster.nodes[node].port), typeField: kind)
    }

    @Test("deliver a broadcast of Pets to all users of the tenant, and to no others")
    func broadcast() throws {
        func connect(_ user: String, at node: Int, tenant: String, isAdmin: Bool = false) throws
            -> JSONFrameClient
        {
            let client = try self.connect(
                "/ws/", user, at: node, tenant: tenant, isAdmin: isAdmin, typeField: "event")
            // This answer comes after the frames for the client's own arrival.
            try client.request(#"{"event":"conversations"}"#, for: "conversations")
            return client
        }
        var here: [JSONFrameClient] = []
        var there: [JSONFrameClient] = []
        for node in 0...1 {
            for number in 0...1 {
                here.append(try connect("u\(number)", at: node, tenant: "here"))
                there.append(try connect("u\(number)", at: node, tenant: "there"))
            }
        }
        let admins = try (0...1).map { try connect("root", at: $0, tenant: "here", isAdmin: true) }
        let foreigner = try connect("root", at: 1, tenant: "there", isAdmin: true)
        for (number, admin) in admins.enumerated() {
            try admin.socket.send(#"{"event":"broadcast","data":{"content":"here \#(number)"}}"#)
            for client in here + admins {
                let data = try client.next("broadcast").object("data")
                #expect([data?["content"], data?["sender_id"]] == ["here \(number)", "root"])
            }
        }
        try foreigner.socket.send(#"{"event":"broadcast","data":{"content":"there"}}"#)
        // The first broadcast that they receive.
        for client in there + [foreigner] {
            #expect(try client.next("broadcast").object("data")?["content"] == "there")
        }
    }

    @Test("assign one number per user, even if several nodes do so at once", .long)
    func numbers() throws {
        let users = (0..<24).map { "user \($0)" }
        // All upgrade requests are sent before the first response is read.
        var requests: [(user: String, stream: ByteStream)] = []
        for user in users {
            let path = "/ws/chats/?token=\(try ConfabServer.token(for: user, secret: self.secret))"
            for node in self.cluster.nodes {
                let stream = try ByteStream(port: node.port)
                try RawWebSocketClient.requestUpgrade(path, port: node.port, on: stream)
                requests.append((user, stream))
            }
        }
        let clients = try requests.map {
            (
                user: $0.user,
                client: JSONFrameClient(
                    socket: try RawWebSocketClient(upgradeRequestedOn: $0.stream), typeField: "type"
                )
            )
        }
        let chat = try clients[0].client.request(
            #"{"type":"createEmptyChat"}"#, for: "emptyChatCreated"
        ).object("data")?.number("id")
        let id = Int(try #require(chat))
        for (_, client) in clients {
            try client.socket.send(#"{"type":"joinChat","data":{"chat":\#(id)}}"#)
        }
        var numbers: [String: Set<Int>] = [:]
        for (user, client) in clients {
            // Joins of other users arrive in between.
            while true {
                let joined = try client.next("chatJoined").object("data")?.object("user")
                guard joined?["username"] == user else { continue }
                numbers[user, default: []].insert(Int(try #require(joined?.number("id"))))
                break
            }
        }
        #expect(
            numbers.count == users.count && numbers.values.allSatisfy { $0.count == 1 },
            "\(numbers)")
        let all = numbers.values.flatMap { $0 }
        #expect(Set(all).count == users.count && all.allSatisfy { $0 >= 1 << 40 })
        // The chat's details have the same numbers.
        let details = try clients[1].client.request(
            #"{"type":"getChatDetails","data":{"chatId":\#(id)}}"#, for: "chatDetails")
        for user in details.object("data")?.objects("participants") ?? [] {
            #expect(numbers[user["username"] ?? ""] == [Int(user.number("id") ?? 0)])
        }
    }

    @Test("keep direct messages for an agent, and deliver them once at any node")
    func direct() throws {
        let ann = try self.connect("/v1/ws", "ann", at: 0)
        func say(_ content: String) throws {
            try ann.request(#"{"type":"message","to":"bob","content":"\#(content)"}"#, for: "ACK")
        }
        func hear(until last: String, by client: JSONFrameClient) throws -> [String] {
            var contents: [String] = []
            while contents.last != last {
                contents.append(try #require(try client.next("message")["content"]))
            }
            return contents
        }
        for number in 1...10 { try say("\(number)") }
        let first = try self.connect("/v1/ws", "bob", at: 1)
        #expect(try hear(until: "10", by: first) == (1...10).map(String.init))
        first.socket.stopAnsweringPings()
        try say("11")
        #expect(try hear(until: "11", by: first) == ["11"])
        first.socket.dropConnection()
        // The connection broke before the ping after 11 was answered. The answers for earlier
        // messages may also be lost.
        let second = try self.connect("/v1/ws", "bob", at: 0)
        #expect(try hear(until: "11", by: second).last == "11")
        // By then all pings have been answered. The owner, possibly on the other node, is notified
        // shortly after.
        for _ in 1...3 { try second.request(#"{"type":"nonsense"}"#, for: "ERROR") }
        try say("12")
        #expect(try hear(until: "12", by: second) == ["12"])
        for _ in 1...3 { try second.request(#"{"type":"nonsense"}"#, for: "ERROR") }
        try Deadline.wait(
            for: "12 to be settled",
            untilTrue: {
                let third = try self.connect("/v1/ws", "bob", at: 1)
                third.socket.stopAnsweringPings()
                let marker = UUID().uuidString
                try say(marker)
                return try hear(until: marker, by: third).contains("12") == false
            })
    }
}
