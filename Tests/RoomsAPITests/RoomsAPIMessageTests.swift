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

@Suite("A REST request about messages")
struct RoomsAPIMessageTests {
    private static let messages = "/api/conversations/x/messages"

    private static func message(_ body: MessageBody, _ sequence: SequenceNumber = 3) -> Message {
        Message(sequence: sequence, revision: 5, sentAt: Timestamp(milliseconds: 1), body: body)
    }

    /// A node that stores every message.
    private static func storingNode(isRepeat: Bool = false) -> ScriptedNode {
        ScriptedNode { _, command, _ in
            guard case .post(let body) = command else { return nil }
            return .posted(Self.message(body), isRepeat: isRepeat)
        }
    }

    @Test("sends a message for the token's user; a repeat gets 200", arguments: [false, true])
    func sends(isRepeat: Bool) async throws {
        let node = Self.storingNode(isRepeat: isRepeat)
        let sent = try await node.response(
            .post, Self.messages, #"{"content":"Hi","local_id":"m-1"}"#, .token("ann"))
        #expect(sent.status == (isRepeat ? 200 : 201))
        #expect(
            sent.body.text == #"""
                {"success":true,"message":{"id":"3","room_id":"x","user_id":"ann",\#
                "username":"ann","content":"Hi","timestamp":"1970-01-01T00:00:00.001Z"},\#
                "local_id":"m-1"}
                """#)
        #expect(sent.fields["Cache-Control"] == "no-store")
        let plain = try await node.response(
            .post, "\(Self.messages)/", #"{"content":"Hi"}"#, .token("ann"))
        #expect(plain.body["local_id"] == nil && plain.body.object("message")?["id"] == "3")
        #expect(node.requests == ["post x", "post x"])
    }

    @Test("sends for an anonymous user, a guest with its token, and another user of an admin")
    func authors() async throws {
        let authors = Mutex<[Person]>([])
        let node = ScriptedNode { _, command, _ in
            guard case .post(let body) = command else { return nil }
            authors.withLock { $0.append(body.author) }
            return .posted(Self.message(body))
        }
        let guest = Identity(
            user: "gus", displayName: "Gus", agent: "guest:gus", grants: .listed(["x"]),
            guest: .member, guestKey: "q8Zt-m_R")
        let root = Credentials.token("root", isAdmin: true)
        for (body, credentials) in [
            (#"{"content":"Hi","user_id":"ann","username":"Ann"}"#, .none),
            (#"{"content":"Hi"}"#, .bearer(guest)),
            (#"{"content":"Hi","as":{"user_id":"ann","username":"Ann A."}}"#, root),
            (#"{"content":"Hi","as":null}"#, root),
        ] as [(String, Credentials)] {
            let sent = try await node.response(.post, Self.messages, body, credentials)
            #expect(sent.status == 201, "\(sent.body)")
        }
        #expect(
            authors.withLock { $0 } == [
                Person(id: UserID(anonymous: "ann"), name: "Ann"),
                Person(id: UserID(guest: "gus", key: "q8Zt-m_R", provenBy: .token), name: "Gus"),
                Person(id: UserID(tokenSubject: "ann"), name: "Ann A."),
                Person(id: UserID(tokenSubject: "root"), name: "root"),
            ])
    }

    @Test("makes a bearer of a token that lists the conversation a member, and sends again")
    func entering() async throws {
        let isMember = Mutex(false)
        let error = Mutex(ChatError.notAMember)
        let node = ScriptedNode { name, command, _ in
            if case .join(let request) = command {
                #expect(request.isListedInToken && request.template == .rooms)
                #expect(!request.principal.isAdmin)
                isMember.withLock { $0 = true }
                return .joined(.empty)
            }
            guard case .post(let body) = command else { return nil }
            return isMember.withLock { $0 }
                ? .posted(Self.message(body)) : .failed(error.withLock { $0 })
        }
        func send(_ grants: Grants) async throws -> Int {
            isMember.withLock { $0 = false }
            return try await node.response(
                .post, Self.messages, #"{"content":"Hi"}"#, .token("ann", grants: grants)
            ).status
        }
        #expect(try await send(.listed(["x"])) == 201)
        #expect(try await send(.all) == 201)
        #expect(try await send(.listed(["y"])) == 403)
        #expect(
            node.requests == ["post x", "join x", "post x", "post x", "join x", "post x", "post x"])
        error.withLock { $0 = .noSuchConversation }
        #expect(try await send(.listed(["x"])) == 201)
        #expect(try await send(.all) == 201)
        #expect(try await send(.listed(["y"])) == 404)
        error.withLock { $0 = .conversationEnded }
        #expect(try await send(.listed(["x"])) == 410)
    }

    @Test(
        "says what has become of a change that the store did not accept",
        arguments: [
            (.patch, "/1", #"{"content":"x"}"#), (.delete, "/1", ""),
            (.put, "/1/reactions/%F0%9F%91%8D", ""), (.put, "/1/pin", ""), (.delete, "/1/pin", ""),
        ] as [(HTTPMethod, String, String)])
    func failedChange(_ method: HTTPMethod, _ path: String, _ body: String) async throws {
        for (error, outcome) in [
            (ChatError.unavailable, "refused"), (.rejected, "refused"),
            (.outcomeUnknown, "unknown"),
        ] {
            let node = ScriptedNode { _, _, _ in .failed(error) }
            let answer = try await node.response(
                method, Self.messages + path, body, .token("ann"))
            #expect(answer.status == 503 && answer.body["outcome"] == outcome, "\(answer)")
            #expect(answer.error == error.description)
        }
    }

    @Test(
        "rejects an invalid send, names the field, and says that the message is refused",
        arguments: [
            (#"{}"#, .token("ann"), 400, "content: is missing"),
            (#"{"content":7}"#, .token("ann"), 400, "content: must be a string"),
            (#"{"content":" \u3000"}"#, .token("ann"), 400, "content: must not be empty"),
            (
                #"{"content":"\#(String(repeating: "x", count: 101))"}"#, .token("ann"), 413,
                "content: longer than 100 bytes"
            ),
            (
                #"{"content":"x","more":"\#(String(repeating: "x", count: 300))"}"#, .token("ann"),
                413, "body: the message is longer than 300 bytes"
            ),
            (#"{"content":"x","local_id":""}"#, .token("ann"), 400, "local_id: must have 1 to 128"),
            (#"{"content":"x","local_id":1}"#, .token("ann"), 400, "local_id: must be a string"),
            (#"{"content":"x","user_id":"bob"}"#, .token("ann"), 403, "user_id: must be the token"),
            (#"{"content":"x","username":"Ann"}"#, .none, 400, "user_id: is missing"),
            (#"{"content":"x","user_id":"ann"}"#, .none, 400, "username: is missing"),
            (#"["x"]"#, .token("ann"), 400, "body: must be a JSON object"),
            (
                #"{"content":"x","as":{"user_id":"bob","username":"Bob"}}"#, .token("ann"), 403,
                "as: only an admin may send for another user"
            ),
            (
                #"{"content":"x","user_id":"a","username":"A","#
                    + #""as":{"user_id":"b","username":"B"}}"#,
                .none, 403, "as: only an admin"
            ),
            (
                #"{"content":"x","as":"bob"}"#, .token("root", isAdmin: true), 400,
                "as: must be an object"
            ),
            (
                #"{"content":"x","as":{"username":"B"}}"#, .token("root", isAdmin: true), 400,
                "as.user_id: is missing"
            ),
            (
                #"{"content":"x","as":{"user_id":"bob"}}"#, .token("root", isAdmin: true), 400,
                "as.username: is missing"
            ),
            (
                #"{"content":"x","as":{"user_id":"guest:b","username":"B"}}"#,
                .token("root", isAdmin: true), 400, "as.user_id: must be a user with a token"
            ),
            (
                #"{"content":"x","as":{"user_id":"","username":"B"}}"#,
                .token("root", isAdmin: true), 400, "as.user_id: must be 1 to 128 characters"
            ),
            (
                #"{"content":"x","as":{"user_id":"b","username":5}}"#,
                .token("root", isAdmin: true), 400, "as.username: must be a string"
            ),
        ] as [(String, Credentials, Int, String)])
    func refusedSends(body: String, credentials: Credentials, status: Int, sentence: String)
        async throws
    {
        let node = Self.storingNode()
        let refused = try await node.response(
            .post, Self.messages, body, credentials, messageBytes: 300)
        #expect(refused.status == status)
        #expect(refused.error?.hasPrefix(sentence) == true, "\(refused.body)")
        #expect(refused.body["outcome"] == "refused")
        #expect(node.requests.isEmpty)
    }

    @Test(
        "reports the outcome of a failed send",
        arguments: [
            (.notAMember, 403, "refused"), (.conversationEnded, 410, "refused"),
            (.unavailable, 503, "refused"), (.rejected, 503, "refused"),
            (.damaged, 500, "refused"), (.outcomeUnknown, 503, "unknown"), (nil, 503, "unknown"),
        ] as [(ChatError?, Int, String)])
    func outcomes(error: ChatError?, status: Int, outcome: String) async throws {
        let node = ScriptedNode { _, _, _ in error.map { .failed($0) } }
        let failed = try await node.response(
            .post, Self.messages, #"{"content":"Hi","local_id":"a"}"#, .token("ann"))
        #expect(failed.status == status && failed.body.bool("success") == false)
        #expect(failed.body["outcome"] == outcome)
        #expect(failed.fields["Retry-After"] == (status == 503 ? "1" : nil))
        if status == 503 {
            #expect(failed.error == (error ?? .outcomeUnknown).description)
        }
        // Without a node nothing is stored.
        let closed = try await ScriptedNode(isOpen: false).response(
            .post, Self.messages, #"{"content":"Hi"}"#, .token("ann"))
        #expect(closed.status == 503 && closed.body["outcome"] == "refused")
    }

    @Test("edits and deletes a message, for a user with a token")
    func amends() async throws {
        let seen = Mutex<[String]>([])
        let body = MessageBody(
            author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), clientMessageID: nil,
            content: "Hi")
        let node = ScriptedNode { _, command, _ in
            switch command {
            case .edit(let sequence, let content, let principal):
                seen.withLock {
                    $0.append("\(sequence) \(content) \(principal.person.id) \(principal.isAdmin)")
                }
                return .amended(Self.message(body, 7).edited(to: content, revision: 9))
            case .delete(let sequence, let principal):
                seen.withLock {
                    $0.append("\(sequence) \(principal.person.id) \(principal.isAdmin)")
                }
                return .amended(Self.message(body, 7).deleted(revision: 9))
            default: return nil
            }
        }
        let edited = try await node.response(
            .patch, "\(Self.messages)/7", #"{"content":"Ho"}"#, .token("ann"))
        #expect(edited.status == 200 && edited.body.object("message")?["content"] == "Ho")
        #expect(edited.body.object("message")?.bool("is_edited") == true)
        let guest = Identity(
            user: "ann", grants: .listed(["x"]), guest: .member, guestKey: "q8Zt-m_R")
        let deleted = try await node.response(.delete, "\(Self.messages)/7", "", .bearer(guest))
        #expect(deleted.status == 200 && deleted.body.object("message")?["content"] == "")
        #expect(deleted.body.object("message")?.bool("is_deleted") == true)
        _ = try await node.response(
            .delete, "\(Self.messages)/7", "", .token("root", isAdmin: true))
        #expect(seen.withLock { $0 } == ["7 Ho ann false", "7 anonymous ann false", "7 root true"])
    }

    @Test("rejects an invalid edit or deletion")
    func refusedAmendments() async throws {
        let node = ScriptedNode { _, command, _ in
            if case .delete = command { return .failed(.notAllowed("the author or an admin")) }
            return .failed(.noSuchMessage(7))
        }
        for (method, body, credentials, status, sentence) in [
            (.patch, #"{"content":"x"}"#, .token("ann"), 404, "message_id: there is no message 7"),
            (.patch, #"{"content":""}"#, .token("ann"), 400, "content: must not be empty"),
            (.patch, #"{}"#, .token("ann"), 400, "content: is missing"),
            (.patch, #"{"content":"x"}"#, .none, 401, "token: is needed for this"),
            (.delete, "", .none, 401, "token: is needed for this"),
            (.delete, "", .token("ann"), 403, "user_id: only the author or an admin may do this"),
        ] as [(HTTPMethod, String, Credentials, Int, String)] {
            let refused = try await node.response(method, "\(Self.messages)/7", body, credentials)
            #expect(refused.status == status)
            #expect(refused.error?.hasPrefix(sentence) == true, "\(refused.body)")
            #expect(refused.body["outcome"] == nil)
        }
    }

    @Test("shows the last message, and reads it only if the owner does not have it in memory")
    func lastMessage() async throws {
        let body = MessageBody(
            author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), clientMessageID: nil,
            content: "Hi")
        let inMemory = Mutex<Message?>(nil)
        let head = Mutex(0)
        let node = ScriptedNode { name, _, _ in
            let room = ConversationDetails.room(
                head: head.withLock { $0 }, lastMessage: inMemory.withLock { $0 })
            return name == "join" ? .joined(.empty) : .described(room)
        } read: { request in
            switch request {
            case .catalog:
                var page = CatalogPage()
                page.entries = [
                    CatalogEntry(
                        key: ConversationKey(tenant: "default", id: "x"),
                        record: ConversationRecord(
                            .rooms, creator: nil, createdAt: Timestamp(milliseconds: 1)), head: 3)
                ]
                return .catalog(page)
            case .page(_, .before(4), let limit):
                #expect(limit == 1)
                return .page(
                    MessagePage(messages: [Self.message(body)], head: 3, oldest: 1, revision: 5))
            default: return nil
            }
        }
        func list() async throws -> JSONObject? {
            try await node.response(.get, "/api/conversations").body.objects("conversations")?.first
        }
        func readCount() -> Int { node.requests.count { $0 == "read" } }
        #expect(try await list()?.text.contains(#""last_message":null"#) == true)
        #expect(readCount() == 1)
        head.withLock { $0 = 3 }
        #expect(try await list()?.object("last_message")?["content"] == "Hi")
        #expect(readCount() == 3)
        inMemory.withLock { $0 = Self.message(body).edited(to: "Ho", revision: 9) }
        let listed = try #require(try await list()?.object("last_message"))
        #expect(listed["content"] == "Ho" && listed.bool("is_edited") == true)
        #expect(readCount() == 4)
        let joined = try await node.response(
            .post, "/api/conversations/x/join", #"{"username":"Ann"}"#, .token("ann"))
        #expect(
            joined.body.object("conversation")?.object("last_message")?["content"] == "Ho")
        #expect(readCount() == 4)
    }
}
