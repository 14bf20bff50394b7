import Bytes
import ChatModel
import DialectKit
import EventLoop
import HTTPWire
import Identity
import RoomsDialect
import Synchronization
import TestKit
import Testing

@testable import RoomsAPI

@Suite("A REST client without a token")
struct GuestRoomsAPITests {
    private static let root = "/api/conversations"
    private static let secret = Array("0123456789abcdef0123456789abcdef".utf8)
    private static let key = GuestKey(derivedFrom: secret, cluster: "confab")
    private static let alice = #"{"user_id":"alice","username":"Alice"}"#

    /// The bearer of the token in an answer.
    private static func bearer(_ response: APIResponse) throws -> Identity {
        try TokenVerifier(secret: self.secret, guestKey: self.key).verify(
            try #require(response.body["token"]), at: WallClock.now)
    }

    private final class MemberList: Sendable {
        let list = Mutex<[Member]>([])
    }

    /// A node with one open conversation that takes members.
    private static func node(_ members: MemberList) -> ScriptedNode {
        ScriptedNode(guestKey: self.key) { _, command, _ in
            switch command {
            case .join(let request):
                let person = request.principal.person
                let member = Member(
                    user: person.id, name: person.name, role: .member,
                    joinedAt: Timestamp(milliseconds: 1))
                members.list.withLock { $0 = $0.filter { $0.user != person.id } + [member] }
                return .joined(
                    JoinResult(
                        head: 0, oldest: 1, revision: 1, ended: nil, present: [], presentCount: 0,
                        isCrowd: false))
            case .describe(let principal, _, _):
                let list = members.list.withLock { $0 }
                let user = principal.person.id
                let record = ConversationRecord(
                    .rooms, title: "Tea", creator: nil, createdAt: Timestamp(milliseconds: 1))
                return .described(
                    ConversationDetails(
                        record: record, head: 0, members: list, online: [],
                        viewer: list.first { $0.user == user }
                            ?? list.first { $0.user.looksLike(user) }))
            default: return nil
            }
        }
    }

    @Test("gets the token of a guest of its own, whatever name it gives")
    func joins() async throws {
        let members = MemberList()
        let node = Self.node(members)
        let first = try await node.response(.post, "\(Self.root)/x/join", Self.alice)
        let identity = try Self.bearer(first)
        let user = UserID(of: identity)
        #expect(members.list.withLock { $0.map(\.user) } == [user])
        #expect(user.name == "alice" && !user.isClaimed)
        let participant = first.body.object("participant")
        #expect(participant?["user_id"] == "alice" && participant?.bool("guest") == true)
        #expect(participant?["guest_key"] == user.guestKey?.string)

        // A stranger that knows the name is another guest, and no member before it uses its token:
        // a client that joins with every start must not become one member more each time.
        let second = try await node.response(.post, "\(Self.root)/x/join", Self.alice)
        let stranger = UserID(of: try Self.bearer(second))
        #expect(second.status == 200 && stranger != user && stranger.looksLike(user))
        #expect(second.body.object("participant")?["guest_key"] == stranger.guestKey?.string)
        #expect(members.list.withLock { $0.map(\.user) } == [user])

        // The token renews the same guest, which may change its name.
        let renewed = try await node.response(
            .post, "\(Self.root)/x/join", #"{"user_id":"alice","username":"Al"}"#,
            .bearer(identity))
        let again = try Self.bearer(renewed)
        #expect(UserID(of: again) == user && again.displayName == "Al")
        #expect(members.list.withLock { $0.map(\.name) } == ["Al"])
        let other = try await node.response(
            .post, "\(Self.root)/x/join", #"{"user_id":"bob","username":"Bob"}"#,
            .bearer(identity))
        #expect(other.status == 403)
    }

    @Test("creates a conversation as a guest whose token proves the creator")
    func creates() async throws {
        let creators = Mutex<[UserID]>([])
        let node = ScriptedNode(guestKey: Self.key) { _, command, _ in
            guard case .create(let conversation) = command else { return nil }
            creators.withLock { $0.append(conversation.creator.person.id) }
            return .described(.room())
        }
        for _ in 0..<2 {
            let created = try await node.response(
                .post, "\(Self.root)/create", #"{"title":"Tea","user_id":"alice"}"#)
            let identity = try Self.bearer(created)
            #expect(identity.guest == .creator)
            #expect(creators.withLock { $0.last } == UserID(of: identity))
        }
        #expect(Set(creators.withLock { $0 }).count == 2)
    }

    @Test("only claims a name when it sends or ends, and does nothing else by it")
    func claims() async throws {
        let users = Mutex<[UserID]>([])
        let node = ScriptedNode(guestKey: Self.key) { _, command, _ in
            switch command {
            case .post(let body): users.withLock { $0.append(body.author.id) }
            case .end(let principal): users.withLock { $0.append(principal.person.id) }
            default: break
            }
            return .failed(.notAMember)
        }
        _ = try await node.response(
            .post, "\(Self.root)/x/messages",
            #"{"content":"Hi","user_id":"alice","username":"Alice"}"#)
        _ = try await node.response(.post, "\(Self.root)/x/end", #"{"user_id":"alice"}"#)
        #expect(users.withLock { $0 } == Array(repeating: UserID(anonymous: "alice"), count: 2))
        let elsewhere = try await node.response(
            .post, "\(Self.root)/x/end", #"{"user_id":"alice"}"#, isLoopback: false)
        #expect(elsewhere.status == 403)
        let count = node.requests.count
        for (method, path, body) in [
            (.patch, "/messages/1", #"{"content":"x"}"#), (.delete, "/messages/1", ""),
            (.put, "/messages/1/reactions/%F0%9F%91%8D", ""), (.put, "/messages/1/pin", ""),
            (.delete, "/messages/1/pin", ""), (.patch, "", #"{"title":"x"}"#),
            (.post, "/members", #"{"user_id":"bob"}"#), (.delete, "/members/bob", ""),
            (.get, "/members", ""), (.post, "/leave", "{}"),
            (.post, "/read", #"{"message_id":"1"}"#), (.get, "/receipts", ""),
        ] as [(HTTPMethod, String, String)] {
            let response = try await node.response(method, "\(Self.root)/x\(path)", body)
            #expect(response.status == 401, "\(method) \(path): \(response.body)")
        }
        let own = try await node.response(.get, Self.root, query: "mine=true")
        #expect(own.status == 401)
        #expect(node.requests.count == count)
    }
}
