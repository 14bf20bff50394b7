import Bytes
import ChatModel
import ConversationsDialect
import EngineIO
import GatewayTestSupport
import RoomsDialect
import StoreTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// The actions of a node when the store has a new ban.
@Suite("A node, when an operator bans a user,", .ownThread)
struct BanEnforcementTests {
    private static let notice = "You are banned. Spam."

    private static func ban(
        _ user: ByteString, from conversation: ByteString? = nil, until: Timestamp? = nil,
        in node: TestNode
    ) async throws {
        // Otherwise the node's own reading at its start closes connections that no call counts.
        // Each loop enforces that reading before this one.
        try Deadline.wait(
            for: "the node's own reading", untilTrue: { node.gateway.shared.bans.isUpToDate })
        #expect(await Self.refresh(node) == 0)
        let subject = Ban.Subject(tenant: "default", user: user, conversation: conversation)
        let ban = Ban(subject, until: until, reason: "Spam.", by: "ops", since: WallClock.now)
        #expect(await node.store.request(.ban(ban)).text == "done")
    }

    private static func refresh(_ node: TestNode) async -> Int? {
        await node.gateway.refreshBans(within: Deadline.defaultTimeout)
    }

    /// The last text frame before the close, and the close.
    private static func end(_ socket: RawWebSocketClient) throws -> (String, code: Int, String) {
        var last = ""
        while true {
            switch try socket.next() {
            case .text(let text): last = text
            case .close(let code, let reason): return (last, Int(code ?? 0), reason)
            case .end: return (last, 0, "")
            default: continue
            }
        }
    }

    private static func roomsNode() throws -> TestNode {
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        return try TestNode(loops: 2, dialects: [rooms, ConversationsDialect()])
    }

    @Test("closes this user's connections with the reason, and no others")
    func openConnections() async throws {
        let node = try TestNode(loops: 2)
        let ann = try ["one", "two"].map { try node.conversationClient("ann", in: $0) }
        let bob = try node.conversationClient("bob", in: "one")
        try await Self.ban("ann", in: node)
        #expect(await Self.refresh(node) == 2)
        for client in ann {
            let end = try Self.end(client.socket)
            #expect(end.0.contains(Self.notice))
            #expect((end.code, end.2) == (4004, Self.notice))
        }
        try bob.post("still here")
        let again = try RawWebSocketClient(TestNode.path("ann", in: "one"), port: node.port)
        #expect(try Self.end(again).code == 4004)
        // The second reading closes nothing.
        #expect(await Self.refresh(node) == 0)
    }

    @Test("closes the connections inside one conversation only")
    func oneConversation() async throws {
        let node = try TestNode(loops: 2)
        let (inside, outside) = (
            try node.conversationClient("ann", in: "one"),
            try node.conversationClient("ann", in: "two")
        )
        try await Self.ban("ann", from: "one", in: node)
        #expect(await Self.refresh(node) == 1)
        #expect(try Self.end(inside.socket).code == 4004)
        try outside.post("still here")
        let again = try RawWebSocketClient(TestNode.path("ann", in: "one"), port: node.port)
        #expect(try Self.end(again).2 == "You are banned from conversation one. Spam.")
        let removal = StoreRequest.unban(
            Ban.Subject(tenant: "default", user: "ann", conversation: "one"))
        #expect(await node.store.request(removal).text == "unbanned true")
        #expect(await Self.refresh(node) == 0)
        try node.conversationClient("ann", in: "one").post("back")
    }

    @Test("admits the user again when the ban has ended, without an announcement", .long)
    func expiry() async throws {
        let node = try TestNode()
        let end = Timestamp(milliseconds: WallClock.now.milliseconds + 3000)
        try await Self.ban("ann", until: end, in: node)
        #expect(await Self.refresh(node) == 0)
        let refused = try RawWebSocketClient(TestNode.path("ann", in: "one"), port: node.port)
        let (_, code, reason) = try Self.end(refused)
        // A machine that stalled for three seconds has admitted the user.
        #expect(code == 4004 && reason.contains(" until 20") || WallClock.now >= end)
        try Deadline.wait(for: "the end of the ban", untilTrue: { WallClock.now >= end })
        try node.conversationClient("ann", in: "one").post("back")
    }

    @Test("ends a polling session, and answers its next CONNECT with the reason")
    func polling() async throws {
        let node = try Self.roomsNode()
        let client = try PollingClient(port: node.port)
        try client.connectNamespace(token: TestNode.token("ann"))
        let poll = try client.beginPoll()
        try await Self.ban("ann", in: node)
        #expect(await Self.refresh(node) == 1)
        let response = try HTTPReply(from: poll)
        #expect(response.body.contains(Self.notice), "\(response)")
        try Deadline.wait(
            for: "the end of the session", untilTrue: { try client.poll().status == 400 })
        for query in ["", "&token=\(try TestNode.token("ann"))"] {
            let next = try PollingClient(port: node.port, query: query)
            let auth = query.isEmpty ? #"40{"token":"\#(try TestNode.token("ann"))"}"# : "40"
            try next.post(auth)
            #expect(try next.packets(1) == [#"44{"message":"\#(Self.notice)"}"#])
        }
    }

    @Test("refuses an anonymous user as soon as it says who it is")
    func anonymousUser() async throws {
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        let node = try TestNode(dialects: [rooms]) { $0.settings.allowsAnonymous = true }
        try await Self.ban("guest:eve", in: node)
        #expect(await Self.refresh(node) == 0)
        let socket = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: node.port)
        try socket.send("40")
        try socket.send(
            #"42["join_room",{"room_id":"one","user_id":"eve","username":"Eve"}]"#)
        let end = try Self.end(socket)
        #expect(end.0.contains(Self.notice))
        #expect(end.code == 4403)
    }

    @Test("keeps what it knows while the store fails, and reads again when the store works")
    func failingStore() async throws {
        let node = try TestNode()
        let client = try node.conversationClient("ann", in: "one")
        try await Self.ban("ann", in: node)
        node.store.fail(.bans)
        #expect(await Self.refresh(node) == nil)
        try client.synchronize()
        node.store.fail()
        #expect(try Self.end(client.socket).code == 4004)
    }

    @Test("closes the connections that an operator names, and lets them come back")
    func disconnecting() async throws {
        let node = try Self.roomsNode()
        let ann = try node.conversationClient("ann", in: "one")
        let polling = try PollingClient(port: node.port)
        try polling.connectNamespace(token: TestNode.token("ann"))
        let bob = try node.conversationClient("bob", in: "one")
        let gateway = node.gateway
        #expect(
            await gateway.disconnect(user: "ann", in: "default", within: Deadline.defaultTimeout)
                == 2)
        let end = try Self.end(ann.socket)
        #expect((end.code, end.2) == (1012, "disconnected by an operator"))
        try Deadline.wait(
            for: "the end of the session", untilTrue: { try polling.poll().status == 400 })
        try bob.post("still here")
        try node.conversationClient("ann", in: "one").post("back")
        #expect(
            await gateway.disconnect(user: "eve", in: "default", within: Deadline.defaultTimeout)
                == 0)
    }
}
