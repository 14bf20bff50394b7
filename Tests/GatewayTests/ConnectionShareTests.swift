import Bytes
import ChatModel
import Configuration
import EventLoop
import GatewayTestSupport
import Identity
import RoomsDialect
import Synchronization
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("The connections of an address")
struct AddressCountsTests {
    private static func shares(connections: Int, perAddress: Int? = nil) -> ConnectionShares {
        var limits = Limits()
        limits.connections = connections
        limits.connectionsPerAddress = perAddress ?? connections / 2
        return ConnectionShares(limits)
    }

    private let one = IPAddress(ipv4: 0xC000_0201)
    private let other = IPAddress(ipv4: 0xC000_0202)

    @Test("are at most half of the node's, and a tenth without a token")
    func limits() {
        let shares = Self.shares(connections: 100)
        var counts = AddressCounts()
        func add(hasToken: Bool) -> Bool {
            counts.add(self.one, hasToken: hasToken, shares) != .refused
        }
        for _ in 0..<10 { #expect(add(hasToken: false)) }
        #expect(!add(hasToken: false))
        for _ in 0..<40 { #expect(add(hasToken: true)) }
        #expect(!add(hasToken: true))
        #expect(counts.add(self.other, hasToken: false, shares) == .admitted)
        #expect(counts[self.one] == .init(total: 50, withoutToken: 10, isReported: true))
        counts.showToken(self.one)
        #expect(!add(hasToken: false), "all fifty are in use")
        counts.remove(self.one, hasToken: true, shares)
        #expect(add(hasToken: false))
        #expect(counts.largest?.address == self.one && counts.largest?.connections == 50)
    }

    @Test("are reported above a quarter, and again after they were few")
    func notable() {
        let shares = Self.shares(connections: 100)
        var counts = AddressCounts()
        func add() -> AddressCounts.Admission { counts.add(self.one, hasToken: true, shares) }
        for _ in 0..<25 { #expect(add() == .admitted) }
        #expect(add() == .notable(connections: 26))
        #expect(add() == .admitted)
        for _ in 0..<15 { counts.remove(self.one, hasToken: true, shares) }
        for _ in 0..<13 { #expect(add() == .admitted) }
        #expect(add() == .notable(connections: 26))
        for _ in 0..<26 { counts.remove(self.one, hasToken: true, shares) }
        #expect(counts[self.one].total == 0 && counts.largest == nil)
    }

    @Test("have no part of their own on a node with few connections")
    func small() {
        let shares = Self.shares(connections: 12, perAddress: 6)
        #expect(shares.address == 6 && shares.addressWithoutToken == 6)
        #expect(shares.unidentified == .max)
    }

    @Test("count for a whole network of IPv6, which one machine has")
    func networks() throws {
        let keys = try ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map {
            AddressCounts.key(of: try #require(IPAddress($0)))
        }
        #expect(keys[0] == keys[1] && keys[0] != keys[2])
        #expect(AddressCounts.key(of: self.one) == self.one)
    }
}

@Suite("Clients that have not shown who they are")
struct UnidentifiedConnectionsTests {
    @Test("leave in the order in which they came, without those that are in use")
    func order() {
        var list = UnidentifiedConnections()
        var members: Set<UInt32> = []
        func isMember(_ token: SocketToken) -> Bool { members.contains(token.slot) }
        for slot in 0..<5000 as Range<UInt32> {
            list.add(SocketToken(slot: slot, generation: 1), isMember: isMember)
            members.insert(slot)
            guard slot >= 10 else { continue }
            let oldest = list.takeOldest(isMember: isMember) { $0.slot != 3 }
            #expect(oldest.map { members.remove($0.slot) != nil } == true)
            list.remove()
        }
        #expect(members.contains(3) && members.count == 10 && list.count == 10)
        #expect(members.subtracting([3]).min() == 4991)
    }
}

/// Rooms clients of a node on which clients need no token.
@Suite("Sessions before a credential", .ownThread)
struct SessionFloodTests {
    private static let path = "/socket.io/?EIO=4&transport=polling"

    private static func node(loops: Int = 1, connections: Int, perAddress: Int? = nil) throws
        -> TestNode
    {
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        return try TestNode(loops: loops, dialects: [rooms]) {
            $0.settings.allowsAnonymous = true
            $0.live.limits.allowEverything()
            $0.live.limits.connections = connections
            $0.live.limits.connectionsPerAddress = perAddress ?? connections / 2
        }
    }

    /// Opens sessions with requests on one connection that do not wait for responses.
    ///
    /// - Returns: how many of them the node has opened.
    private static func flood(
        _ node: TestNode, _ count: Int, from address: String? = nil
    ) throws -> Int {
        let stream = try ByteStream(port: node.port)
        let forwarded = address.map { "X-Forwarded-For: \($0)\r\n" } ?? ""
        let request = "GET \(Self.path) HTTP/1.1\r\nHost: 127.0.0.1\r\n\(forwarded)\r\n"
        try stream.send(String(repeating: request, count: count))
        return try (0..<count).count { _ in try HTTPReply(from: stream).status == 200 }
    }

    /// Polls until a packet contains the text.
    private static func awaitPacket(_ text: String, on client: PollingClient) throws {
        try Deadline.wait(
            for: text, untilTrue: { try client.packets(1).contains { $0.contains(text) } })
    }

    /// Connects as a guest.
    private static func join(_ client: PollingClient, as guest: String) throws {
        try client.connectNamespace(token: nil)
        try Self.ask(client, as: guest)
    }

    /// Asks for a room that does not exist. The answer shows that the session works.
    private static func ask(_ client: PollingClient, as guest: String) throws {
        try client.post(
            #"42["join_room",{"room_id":"one","user_id":"\#(guest)","username":"\#(guest)"}]"#)
        try Self.awaitPacket("no such conversation", on: client)
    }

    @Test(
        "take a tenth of the node's connections, however many one client opens",
        arguments: [1, 3])
    func oneConnection(loops: Int) throws {
        let node = try Self.node(loops: loops, connections: 200)
        let member = try PollingClient(port: node.port)
        try member.connectNamespace(token: TestNode.token("ann"))
        let guest = try PollingClient(port: node.port)
        try guest.connectNamespace(token: nil)
        for _ in 0..<10 { #expect(try Self.flood(node, 200) == 200) }
        #expect(node.gateway.connectionCount <= 30, "20, and those that are known or connecting")

        let health = try HTTPReply.get("/api/health", port: node.port)
        #expect(health.status == 200 && health.body.contains(#""refusing":["connections"]"#))
        let line = try node.log("request refused", atLeast: 1)[0]
        #expect(line["reason"] == "unidentified_limit")
        // Those that came before go on, and others come in, with and without a token.
        try member.post(#"42["join_room",{"room_id":"one"}]"#)
        try Self.awaitPacket("conversation_state", on: member)
        try Self.ask(guest, as: "gus")
        try Self.join(PollingClient(port: node.port), as: "late")
        let token = try TestNode.token("bob")
        let socket = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket&token=\(token)", port: node.port)
        try socket.close()
    }

    @Test("take a tenth, from whatever number of addresses")
    func manyAddresses() throws {
        let node = try Self.node(connections: 200)
        for number in 1...5 {
            #expect(try Self.flood(node, 100, from: "192.0.2.\(number)") == 100)
        }
        #expect(node.gateway.connectionCount <= 25)
        try Self.join(PollingClient(port: node.port), as: "late")
    }

    @Test("leave with the oldest, and a session with a token is none of them")
    func oldest() throws {
        let node = try Self.node(connections: 200)
        let token = try TestNode.token("ann")
        let known = try PollingClient(port: node.port, query: "&token=\(token)")
        let unknown = try PollingClient(port: node.port)
        #expect(try Self.flood(node, 40) == 40)
        #expect(try unknown.poll().status == 400)
        #expect(try known.post("40").status == 200)
    }

    @Test("guests of one address are refused above its part, with the reason in health")
    func address() throws {
        let node = try Self.node(connections: 200)
        let guests = try (0..<20).map { number in
            let client = try PollingClient(port: node.port)
            try Self.join(client, as: "guest-\(number)")
            return client
        }
        let refusal = try HTTPReply.get(Self.path, port: node.port)
        #expect(refusal.status == 503)
        let line = try node.log("request refused", atLeast: 1)[0]
        #expect(line["reason"] == "address_limit")
        let health = try HTTPReply.get("/api/health", port: node.port)
        #expect(health.status == 200)
        #expect(health.body.contains(#""refusing":["connections-per-address"]"#))

        let other = try HTTPReply.get(
            Self.path, port: node.port, fields: ["X-Forwarded-For": "192.0.2.2"])
        #expect(other.status == 200)
        let token = try TestNode.token("ann")
        #expect(try HTTPReply.get("\(Self.path)&token=\(token)", port: node.port).status == 200)
        try guests[0].post("1")
        try Deadline.wait(
            for: "the place of a guest that has left",
            untilTrue: { try HTTPReply.get(Self.path, port: node.port).status == 200 })
    }

    @Test("an address with more than a quarter of the connections is logged and known")
    func notable() throws {
        let node = try Self.node(connections: 40, perAddress: 40)
        let token = try TestNode.token("ann")
        let sessions = try (0..<11).map { _ in
            try RawWebSocketClient(
                "/socket.io/?EIO=4&transport=websocket&token=\(token)", port: node.port,
                fields: ["X-Forwarded-For": "192.0.2.1"])
        }
        let line = try node.log("address has many connections", atLeast: 1)[0]
        #expect(line["address"] == "192.0.2.1" && line.number("connections") == 11)
        #expect(node.gateway.largestAddress?.connections == sessions.count)
    }
}

/// A node without trusted proxies: each connection counts for the address that opened it.
@Suite("The WebSockets of one address", .ownThread)
struct AddressShareTests {
    private static func node(perAddress: Int) throws -> TestNode {
        try TestNode(dialects: TestNode.allDialects) {
            $0.settings.allowsAnonymous = true
            $0.settings.trustedProxies = []
            $0.live.limits.connections = 40
            $0.live.limits.connectionsPerAddress = perAddress
        }
    }

    @Test("are bounded, and closed ones make room")
    func bounded() throws {
        let node = try Self.node(perAddress: 3)
        func connect(_ number: Int) throws -> RawWebSocketClient {
            try RawWebSocketClient(TestNode.path("user \(number)", in: "room"), port: node.port)
        }
        let sockets = try (0..<3).map(connect)
        let refusal = try RawWebSocketClient.refusal(
            of: TestNode.path("late", in: "room"), port: node.port)
        #expect(refusal.status == 503 && refusal.fields["retry-after"] == "1")
        try sockets[0].close()
        _ = try Deadline.wait(for: "a place") { try? connect(4) }
    }

    @Test("are a tenth of the node's without tokens, and a token still gets a place")
    func tokens() throws {
        let node = try Self.node(perAddress: 20)
        let guests = try (0..<4).map {
            try RawWebSocketClient("/ws/chats/?username=guest\($0)", port: node.port)
        }
        #expect(
            try RawWebSocketClient.refusal(of: "/ws/chats/?username=late", port: node.port).status
                == 503)
        let member = try RawWebSocketClient(TestNode.path("ann", in: "room"), port: node.port)
        try member.close()
        for guest in guests { try guest.close() }
    }
}
