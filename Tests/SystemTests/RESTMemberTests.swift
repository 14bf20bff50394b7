import TestKit
import TestTraits
import Testing

@Suite("Members that are added and removed over REST", .programs, .serialized, .ownThread)
struct RESTMemberTests {
    private func manage(_ client: RESTClient, add user: String, in room: String) throws -> Int {
        try client.request("POST", "/\(room)/members", #"{"user_id":"\#(user)"}"#).status
    }

    private func manage(_ client: RESTClient, remove user: String, in room: String) throws -> Int {
        try client.request("DELETE", "/\(room)/members/\(user)").status
    }

    @Test(
        "lose access at once, with the signal of each protocol",
        arguments: TestRun.isLong ? [StoreDeployment.memory, .redis] : [.redis])
    func removal(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let owner = try RESTClient("owner", at: deployment.guestServer)
        let room = try owner.create()
        let watcher = try ProtocolConnection(
            .rooms, "watcher", in: room, at: deployment.guestServer)
        let readers = try ProtocolAdapter.all.map {
            try ProtocolConnection($0, "reader-\($0.name)", in: room, at: deployment.readerServer)
        }
        for adapter in ProtocolAdapter.all {
            #expect(try self.manage(owner, remove: "reader-\(adapter.name)", in: room) == 200)
            try watcher.awaitFrame("user_left", #""user_id":"reader-\#(adapter.name)""#)
        }
        try readers[0].awaitFrame("close 4004")
        try readers[3].awaitFrame("user_left", #""user_id":"reader-Rooms""#)
        try readers[4].awaitFrame("close 1008")
        #expect(try owner.send("after", to: room).status == 201)
        try watcher.awaitFrame("after")
        for (reader, adapter) in zip(readers, ProtocolAdapter.all)
        where !["Conversations", "Agents"].contains(adapter.name) {
            try reader.send(adapter.unknownRequest("are you still there?"))
            try reader.awaitFrame("are you still there?")
            #expect(!reader.receivedFrames.contains { $0.contains("after") }, "\(adapter.name)")
        }
        let sent = try RESTClient("reader-Pets", at: deployment.readerServer, conversations: [])
            .send("Hi", to: room)
        #expect(sent.status == 403)
        #expect(try self.manage(owner, remove: "reader-Pets", in: room) == 404)
    }

    @Test("enter a closed conversation of any protocol, by the creator or an admin only")
    func addition() throws {
        // The owner posts with every poll.
        let deployment = try AnonymousDeployment(
            .redis, ["--anonymous", "on", "--limit", "messages-per-second=1000"])
        // An admin's token makes its bearer the creator.
        let owner = try deployment.guestServer.connect(
            token: try ConfabServer.token(for: "owner", isAdmin: true), to: "plan")
        try owner.post("one")
        let creator = try RESTClient("owner", at: deployment.readerServer)
        let token = try ConfabServer.token(for: "bob", conversations: ["other"])
        let refused = try deployment.readerServer.connect(token: token, to: "plan")
        guard case .close(4004, _) = try refused.closeEvent() else {
            throw TestFailure("bob entered")
        }
        let bob = try RESTClient("bob", at: deployment.readerServer, conversations: ["other"])
        // As a conversation that does not exist.
        #expect(try bob.request("GET", "/plan/messages").status == 404)
        #expect(try self.manage(bob, add: "bob", in: "plan") == 404)
        let readers = try [ProtocolAdapter.pets, .chats].map {
            ($0, try ProtocolConnection($0.path("", token, nil), at: deployment.guestServer))
        }
        #expect(try self.manage(creator, add: "bob", in: "plan") == 201)
        // Connections that follow all conversations of the user follow this one too.
        for (adapter, reader) in readers {
            // Each answer is unique: an earlier one would end the wait without reading the socket.
            var attempts = 0
            try Deadline.wait(
                for: "\(adapter.name) to follow the conversation",
                untilTrue: {
                    attempts += 1
                    try owner.post("for \(adapter.name)")
                    try reader.send(adapter.unknownRequest("well \(attempts)?"))
                    try reader.awaitFrame("well \(attempts)?")
                    return reader.receivedFrames.contains { $0.contains("for \(adapter.name)") }
                })
        }
        #expect(try self.manage(creator, add: "bob", in: "plan") == 200)
        let admitted = try deployment.readerServer.connect(token: token, to: "plan")
        try admitted.post("two")
        let contents = try bob.history(of: "plan").map { $0["content"] }
        #expect(contents.first == "one" && contents.last == "two")
        #expect(try self.manage(bob, remove: "owner", in: "plan") == 403)
        let admin = try RESTClient("root", at: deployment.guestServer, isAdmin: true)
        #expect(try self.manage(admin, remove: "bob", in: "plan") == 200)
        guard case .close(4004, _) = try admitted.closeEvent() else {
            throw TestFailure("bob is still connected")
        }
        #expect(try bob.request("GET", "/plan/messages").status == 404)
        #expect(try self.manage(creator, add: "bob", in: "nothing") == 404)
        // Guests come by the link.
        #expect(try self.manage(admin, add: "guest:gus", in: "plan") == 400)
        #expect(try self.manage(admin, remove: "guest:gus", in: "plan") == 404)
    }

    @Test("are as the answers say, if the owner is killed meanwhile", .long)
    func ownerDies() throws {
        let redis = try RedisServer()
        let servers = try ["n1", "n2"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0])
        }
        try servers[0].awaitShardBalance(of: 2)
        let admin = try RESTClient("root", at: servers[0], isAdmin: true)
        // Half of them belong to the node that is killed.
        let rooms = (0..<8).map { "plan-\($0)" }
        for room in rooms {
            let owner = try servers[0].connect("owner", to: room)
            try owner.post("one")
        }
        /// Repeats a request until the new owner answers it.
        func status(_ request: () throws -> Int) throws -> Int {
            let deadline = Deadline(within: .seconds(60))
            while true {
                let status = try request()
                if status != 503 { return status }
                guard !deadline.isExpired else { throw TestFailure("no owner answers") }
            }
        }
        for (index, room) in rooms.enumerated() {
            #expect(
                [200, 201].contains(try status { try self.manage(admin, add: "bob", in: room) }))
            if index == 2 { try servers[1].crash() }
        }
        let token = try ConfabServer.token(for: "bob", conversations: [])
        let readers = try rooms.map { try servers[0].connect(token: token, to: $0) }
        for (room, reader) in zip(rooms, readers) {
            try reader.post("two")
            #expect(
                [200, 404].contains(try status { try self.manage(admin, remove: "bob", in: room) }))
            guard case .close(4004, _) = try reader.closeEvent() else {
                throw TestFailure("bob is still in \(room)")
            }
            #expect(try admin.history(of: room).map { $0["content"] } == ["one", "two"])
        }
    }
}
