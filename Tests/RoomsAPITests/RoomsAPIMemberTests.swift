import Bytes
import ChatModel
import DialectKit
import HTTPWire
import Identity
import RoomsDialect
import Synchronization
import TestKit
import Testing

@testable import RoomsAPI

@Suite("A REST request about members")
struct RoomsAPIMemberTests {
    private static let members = "/api/conversations/x/members"

    @Test("adds a member for the creator or an admin; a second time gets 200")
    func adds() async throws {
        let isNew = Mutex(true)
        let node = ScriptedNode { _, command, _ in
            guard case .addMember(let person, let principal) = command else { return nil }
            #expect(principal.person.id == UserID(tokenSubject: "ann"))
            var result = JoinResult.empty
            result.member = Member(
                user: person.id, name: person.name, role: .member,
                joinedAt: Timestamp(milliseconds: 1))
            result.isNewMember = isNew.withLock { $0 }
            return .joined(result)
        }
        let added = try await node.response(
            .post, Self.members, #"{"user_id":"bob","username":"Bob"}"#, .token("ann"))
        #expect(added.status == 201)
        #expect(added.body.text == #"{"success":true,"user_id":"bob","username":"Bob"}"#)
        isNew.withLock { $0 = false }
        let again = try await node.response(
            .post, Self.members, #"{"user_id":"bob"}"#, .token("ann"))
        #expect(again.status == 200 && again.body["username"] == "bob")
        let guest = try await node.response(
            .post, Self.members, #"{"user_id":"guest:gus"}"#, .token("ann"))
        #expect(
            guest.status == 400
                && guest.error == "user_id: must be no guest; guests come by the link")
        // Only new members are notified.
        #expect(node.requests == ["read", "add x", "post @user:bob", "add x"])
    }

    @Test("adds a user under the name that its own token has carried")
    func knownNames() async throws {
        let memberships = Mutex<[Member]>([])
        let node = ScriptedNode { _, command, _ in
            guard case .addMember(let person, _) = command else { return nil }
            var result = JoinResult.empty
            result.member = Member(
                user: person.id, name: person.name, role: .member,
                joinedAt: Timestamp(milliseconds: 1))
            return .joined(result)
        } read: { request in
            guard case .memberships = request else { return nil }
            var page = MembershipPage()
            page.memberships = memberships.withLock { members in
                members.map { member in
                    ListedMembership(
                        key: ConversationKey(tenant: "default", id: "other"),
                        record: ConversationRecord(
                            .rooms, creator: member.user, createdAt: member.joinedAt),
                        head: 0, member: member, lastMessage: nil, unreadCount: 0)
                }
            }
            return .memberships(page)
        }
        func added(_ id: String = "vic") async throws -> String? {
            try await node.response(
                .post, Self.members, #"{"user_id":"\#(id)","username":"CEO (verified)"}"#,
                .token("ann")
            ).body["username"]
        }
        func member(_ name: ByteString, at time: Int64, isGiven: Bool = false) -> Member {
            var member = Member(
                user: UserID(tokenSubject: "vic"), name: name, role: .member,
                joinedAt: Timestamp(milliseconds: time))
            member.isNameGiven = isGiven
            return member
        }
        #expect(try await added() == "CEO (verified)")
        memberships.withLock {
            $0 = [
                member("vic", at: 9), member("Boss", at: 8, isGiven: true), member("Old", at: 1),
                member("Victoria", at: 2),
            ]
        }
        #expect(try await added() == "Victoria")
    }

    @Test("removes a member")
    func removes() async throws {
        let node = ScriptedNode { _, command, _ in
            guard case .removeMember(let user, let principal) = command else { return nil }
            #expect(principal.isAdmin)
            let members = [UserID(anonymous: "gus"), UserID(tokenSubject: "\u{202E}evil")]
            return members.contains(user) ? .done : .failed(.noSuchMember)
        }
        let root = Credentials.token("root", isAdmin: true)
        let removed = try await node.response(.delete, "\(Self.members)/guest:gus", "", root)
        #expect(removed.status == 200 && removed.body.text == #"{"success":true}"#)
        // A name that no client can take.
        let old = try await node.response(.delete, "\(Self.members)/%E2%80%AEevil", "", root)
        #expect(old.status == 200)
        let invalid = try await node.response(.delete, "\(Self.members)/%02dave", "", root)
        #expect(invalid.status == 404)
        let missing = try await node.response(.delete, "\(Self.members)/gus", "", root)
        #expect(missing.status == 404)
        #expect(missing.error == "user_id: not a member of this conversation")
    }

    @Test("is rejected without a token, and with a field that is invalid")
    func refusals() async throws {
        let node = ScriptedNode { _, _, _ in .failed(.notAllowed("the creator")) }
        let member = Credentials.bearer(
            Identity(user: "gus", grants: .listed(["x"]), guest: .member, guestKey: "q8Zt-m_R"))
        let creator = Credentials.bearer(
            Identity(user: "gus", grants: .listed(["x"]), guest: .creator, guestKey: "q8Zt-m_R"))
        for (method, path, body, credentials, isLoopback, status, sentence) in [
            (.post, "", #"{"user_id":"bob"}"#, .none, true, 401, "token: is needed for this"),
            (.delete, "/bob", "", .none, true, 401, "token: is needed for this"),
            (.post, "", "{}", .token("ann"), true, 400, "user_id: is missing"),
            (.post, "", #"{"user_id":""}"#, .token("ann"), true, 400, "user_id: must be 1 to 128"),
            (
                .post, "", #"{"user_id":"guest:"}"#, .token("ann"), true, 400,
                "user_id: must be no guest"
            ),
            (
                .post, "", #"{"user_id":"\u0002dave"}"#, .token("ann"), true, 400,
                "user_id: must be 1 to 128"
            ),
            (
                .post, "", #"{"user_id":"\u3164"}"#, .token("ann"), true, 400,
                "user_id: must be 1 to 128"
            ),
            (
                .post, "", #"{"user_id":"b","username":"a\u202eb"}"#, .token("ann"), true, 400,
                "username: must be 1 to 128"
            ),
            (.post, "", #"{"user_id":7}"#, .token("ann"), true, 400, "user_id: must be a string"),
            (
                .post, "", #"{"user_id":"b","username":""}"#, .token("ann"), true, 400,
                "username: must be 1 to 128"
            ),
            (
                .post, "", #"{"user_id":"b"}"#, .token("ann"), true, 403,
                "user_id: only the creator may do this"
            ),
            // Elsewhere, only the token from the creation proves the creator.
            (
                .post, "", #"{"user_id":"b"}"#, member, false, 403,
                "user_id: to name the creator is not enough"
            ),
            (.delete, "/b", "", member, false, 403, "user_id: to name the creator is not enough"),
            (.delete, "/b", "", creator, false, 403, "user_id: only the creator may do this"),
        ] as [(HTTPMethod, String, String, Credentials, Bool, Int, String)] {
            let refused = try await node.response(
                method, Self.members + path, body, credentials, isLoopback: isLoopback)
            #expect(refused.status == status, "\(method) \(path) \(body)")
            #expect(refused.error?.hasPrefix(sentence) == true, "\(refused.body)")
        }
    }
}
