import Bytes
import ChatModel
import ChatsDialect
import DialectKit
import DialectTestSupport
import Foundation
import Identity
import Testing

@Suite("A request of several steps")
struct ChatsJobTests {
    typealias TestData = ChatsOutputTests

    static func error(_ errorText: String, _ request: String) -> [String] {
        let outcome = request == "newMessage" ? #","outcome":"refused""# : ""
        return [
            #"""
            {"type":"error","data":{"message":"\#(errorText)","request":"\#(request)"\#(outcome)}}
            """#
        ]
    }

    static func entered(isNew: Bool) -> ChatAnswer {
        var entered = JoinResult.empty
        entered.isNewMember = isNew
        return .joined(entered)
    }

    // MARK: Joining

    @Test("joins a chat as read if no position is given, and notifies the user's other connections")
    func joining() {
        var probe = SessionProbe.chats()
        #expect(
            probe.send(#"{"type":"joinChat","data":{"chat":6}}"#) == [
                "describe for 7 access anyoneIfOpen in tenant/6"
            ])
        #expect(
            probe.answer(.described(TestData.description([], head: 3))) == [
                "enter tenant/6 as 7 Ann unlisted chats from now, history read"
            ])
        #expect(
            probe.answer(Self.entered(isNew: true)) == [
                #"post "6" id - by 7 with {"head":0,"rev":1} in tenant/@user:7"#,
                #"{"type":"chatJoined","data":{"chat":6,"user":{"id":7,"username":"Ann"}}}"#,
            ])
        #expect(
            probe.send(#"{"type":"newMessage","data":{"chat":6,"text":"x"}}"#) == [
                #"post "x" id - by 7 in tenant/6"#
            ], "it is subscribed")
    }

    @Test("joins at a read position, if that message exists")
    func lastRead() {
        var probe = SessionProbe.chats()
        let frame = #"{"type":"joinChat","data":{"chat":6,"last_read_message":3}}"#
        _ = probe.send(frame)
        #expect(
            probe.answer(.described(TestData.description([], head: 2)))
                == Self.error("last_read_message: there is no message 3", "joinChat"))
        _ = probe.send(frame)
        #expect(
            probe.answer(.described(TestData.description([], head: 3))) == [
                "enter tenant/6 as 7 Ann unlisted chats from now"
            ])
        #expect(probe.answer(Self.entered(isNew: false)) == ["read through 3 by 7 in tenant/6"])
        #expect(
            probe.answer(.read(unknown: [])) == [
                #"""
                {"type":"chatJoined","data":{"chat":6,"user":{"id":7,"username":"Ann"},\#
                "last_read_message":3}}
                """#
            ])
    }

    @Test("is answered after earlier posts and marks are stored; posts to one chat do not wait")
    func answerOrder() {
        var probe = SessionProbe.chats(grants: .listed(["5", "6"]))
        func message(_ chat: Int) -> String {
            #"{"type":"newMessage","data":{"chat":\#(chat),"text":"x"}}"#
        }
        #expect(probe.send(message(5)) == [#"post "x" id - by 7 in tenant/5"#])
        #expect(probe.send(message(5)) == [#"post "x" id - by 7 in tenant/5"#])
        #expect(probe.send(message(6)).isEmpty)
        #expect(probe.send(#"{"type":"markRead","data":{"chat":6,"last_read_message":1}}"#).isEmpty)
        #expect(probe.send(#"{"type":"getChats"}"#).isEmpty)
        #expect(probe.send(message(5)).isEmpty)
        #expect(probe.answer(.posted(TestData.message(1, "x")), isDelivered: true).isEmpty)
        #expect(
            probe.answer(.failed(.conversationEnded)) == Self.error(
                "conversation ended", "newMessage") + [
                    #"post "x" id - by 7 in tenant/6"#
                ])
        #expect(
            probe.answer(.posted(TestData.message(1, "x")), isDelivered: true) == [
                "read through 1 by 7 in tenant/6"
            ])
        #expect(
            probe.answer(.read(unknown: [])) == [
                "fetch conversations of 7 in tenant after - unread 1000"
            ])
        #expect(
            probe.storeAnswer(.memberships(MembershipPage())) == [
                #"{"type":"chatsList","data":[]}"#, #"post "x" id - by 7 in tenant/5"#,
            ])
    }

    @Test("does not overtake the read mark of a join")
    func orderDuringJoin() {
        var probe = SessionProbe.chats()
        _ = probe.send(#"{"type":"joinChat","data":{"chat":6,"last_read_message":3}}"#)
        _ = probe.answer(.described(TestData.description([], head: 3)))
        #expect(probe.answer(Self.entered(isNew: false)).count == 1)
        #expect(probe.send(#"{"type":"getChats"}"#).isEmpty)
        #expect(
            probe.answer(.failed(.unavailable)) == Self.error(
                "this could not be stored; try again", "joinChat") + [
                    "fetch conversations of 7 in tenant after - unread 1000"
                ])
    }

    @Test("creates a chat by joining it if the token lists it, and not otherwise")
    func unknownChats() {
        var probe = SessionProbe.chats(grants: .listed(["5", "6"]))
        _ = probe.send(#"{"type":"joinChat","data":{"chat":6}}"#)
        #expect(
            probe.answer(.failed(.noSuchConversation)) == [
                "enter tenant/6 as 7 Ann listed chats from now, history read"
            ])
        #expect(probe.answer(.failed(.unavailable)).count == 1)
        _ = probe.send(#"{"type":"joinChat","data":{"chat":8}}"#)
        #expect(
            probe.answer(.failed(.noSuchConversation))
                == Self.error("chat: no such chat", "joinChat"))
        _ = probe.send(#"{"type":"joinChat","data":{"chat":9}}"#)
        #expect(
            probe.answer(.failed(.accessDenied))
                == Self.error("chat: no such chat", "joinChat"))
    }

    @Test("returns a message's local id only to its sender, and repeats the first message")
    func localID() {
        var probe = SessionProbe.chats()
        let frame = #"{"type":"newMessage","data":{"chat":5,"text":"x","local_id":"n-1"}}"#
        let created =
            #"""
            {"type":"messageCreated","data":{"id":1,"chat":5,"sender":{"id":7,"username":"Ann"},\#
            "text":"x","timestamp":"2026-01-31T12:00:00.123Z","is_read":false
            """#
        #expect(probe.send(frame) == [#"post "x" id "n-1" by 7 in tenant/5"#])
        #expect(probe.answer(.posted(TestData.message(1, "x")), isDelivered: true).isEmpty)
        _ = probe.send(frame)
        #expect(
            probe.answer(.posted(TestData.message(1, "x"))) == [created + #","local_id":"n-1"}}"#])
        _ = probe.send(frame)
        #expect(
            probe.answer(.failed(.outcomeUnknown)) == [
                #"""
                {"type":"error","data":{"message":"\#(ChatError.outcomeUnknown)",\#
                "request":"newMessage","outcome":"unknown","local_id":"n-1"}}
                """#
            ])
        // A queued request keeps its order.
        _ = probe.send(#"{"type":"getChatDetails","data":{"chatId":5}}"#)
        _ = probe.send(frame)
        let answers = probe.answer(.failed(.notAMember))
        #expect(answers.last == #"post "x" id "n-1" by 7 in tenant/5"#)
    }

    @Test("names the conflict if a member already has the username")
    func takenName() {
        var probe = SessionProbe.chats()
        _ = probe.send(#"{"type":"joinChat","data":{"chat":6}}"#)
        _ = probe.answer(.described(TestData.description([], head: 3)))
        #expect(
            probe.answer(.failed(.idTaken))
                == Self.error(
                    "username: a member of this chat has this name; choose another one", "joinChat")
        )
    }

    // MARK: Creating

    @Test("creates an empty chat with the next number that no token has taken")
    func creating() {
        var probe = SessionProbe.chats()
        _ = probe.send(#"{"type":"createEmptyChat","data":{}}"#)
        #expect(probe.storeAnswer(.number(3)) == [#"create chats ""  by 7 with  in tenant/3"#])
        #expect(probe.answer(.failed(.conversationExists)) == ["fetch nextNumber(tenant: tenant)"])
        #expect(probe.storeAnswer(.number(4)) == [#"create chats ""  by 7 with  in tenant/4"#])
        #expect(
            probe.answer(.described(TestData.description([]))) == [
                #"""
                {"type":"emptyChatCreated","data":{"id":4,"participants":[],\#
                "created_at":"2026-01-31T12:00:00.123Z","updated_at":"2026-01-31T12:00:01.123Z"}}
                """#
            ])
        // The counter continues even after many ids that tokens have taken, and the error names the
        // limit.
        _ = probe.send(#"{"type":"createEmptyChat","data":{}}"#)
        for number in 1...10_000 {
            _ = probe.storeAnswer(.number(number))
            #expect(
                probe.answer(.failed(.conversationExists)) == ["fetch nextNumber(tenant: tenant)"])
        }
        _ = probe.storeAnswer(.number(10_001))
        #expect(
            probe.answer(.failed(.conversationExists))
                == Self.error(
                    "no free id was found in 10000 attempts; try again", "createEmptyChat"))
        _ = probe.send(#"{"type":"createEmptyChat","data":{}}"#)
        #expect(
            probe.storeAnswer(nil)
                == Self.error("this cannot be answered at the moment; try again", "createEmptyChat")
        )
    }

    // MARK: Details and lists

    @Test("describes a chat with its members and their numbers")
    func details() {
        var probe = SessionProbe.chats()
        _ = probe.send(#"{"type":"getChatDetails","data":{"chatId":5}}"#)
        #expect(
            probe.answer(
                .described(
                    TestData.description([
                        TestData.member("7", name: "Ann"), TestData.member("bob", name: "Bob"),
                    ]))) == [
                    "fetch numbers of bob in tenant"
                ])
        #expect(
            probe.storeAnswer(.numbers([1_099_511_627_776])) == [
                #"""
                {"type":"chatDetails","data":{"id":5,"participants":[{"id":7,"username":"Ann"},\#
                {"id":1099511627776,"username":"Bob"}],"created_at":"2026-01-31T12:00:00.123Z",\#
                "updated_at":"2026-01-31T12:00:01.123Z"}}
                """#
            ])
        _ = probe.send(#"{"type":"getChatDetails","data":{"chatId":6}}"#)
        #expect(
            probe.answer(.failed(.notAMember))
                == Self.error("chatId: not a member of this conversation", "getChatDetails"))
    }

    @Test("lists chats, most recent activity first, with unread counts and last messages")
    func list() {
        var probe = SessionProbe.chats()
        _ = probe.send(#"{"type":"getChats","data":{}}"#)
        var first = MembershipPage()
        first.memberships = [
            Self.listed("5", at: 1),
            Self.listed("6", at: 9, last: TestData.message(4, "last", by: "8"), unread: 2),
        ]
        first.next = "more"
        #expect(
            probe.storeAnswer(.memberships(first)) == [
                "fetch conversations of 7 in tenant after more unread 1000, after 0 bytes"
            ])
        var second = MembershipPage()
        second.memberships = [Self.listed("room", at: 5)]
        #expect(
            probe.storeAnswer(.memberships(second)) == [
                "describe for 7 access membersOnly in tenant/6",
                "describe for 7 access membersOnly in tenant/room",
                "describe for 7 access membersOnly in tenant/5",
            ])
        let tagCount = probe.tags.count
        let members = [TestData.member("7", name: "Ann", read: 4)]
        #expect(probe.answer(.described(TestData.description(members)), to: tagCount - 3).isEmpty)
        #expect(
            probe.answer(.failed(.notAMember), to: tagCount - 2).isEmpty,
            """
            the user has left in the meantime
            """)
        // The time of the list's snapshot, by which it is sorted.
        func fields(_ updatedAt: String) -> String {
            #"""
            "participants":[{"id":7,"username":"Ann"}],"created_at":"2026-01-31T12:00:00.123Z",\#
            "updated_at":"1970-01-01T00:00:00.\#(updatedAt)Z"
            """#
        }
        let last =
            #"""
            {"id":4,"chat":6,"sender":{"id":8,"username":"8"},"text":"last",\#
            "timestamp":"2026-01-31T12:00:00.123Z","is_read":true}
            """#
        #expect(
            probe.answer(.described(TestData.description(members)), to: tagCount - 1) == [
                #"""
                {"type":"chatsList","data":[{"id":6,\#(fields("009")),"unread_count":2,\#
                "unread_mentions":1,"last_message":\#(last)},{"id":5,\#(fields("001")),\#
                "unread_count":0,"unread_mentions":0,\#
                "last_message":null}]}
                """#
            ])
    }

    @Test(
        "lists chats up to the limit of an answer, each with 50 participants, and tells of the rest"
    )
    func longList() throws {
        var limits = Limits()
        limits.outboundBytes = 50_000
        var probe = SessionProbe.chats(limits: limits)
        _ = probe.send(#"{"type":"getChats","data":{}}"#)
        var page = MembershipPage()
        page.memberships = (0..<200).map { Self.listed("\($0)", at: Int64($0)) }
        let described = probe.storeAnswer(.memberships(page)).count
        #expect(described == 100, "they are described in batches")
        let name = String(repeating: "n", count: 120)
        let members = (0..<999).map { TestData.member("\(1000 + $0)", name: name) }
        let first = probe.tags.count - described
        var answer: [String] = []
        for index in 0..<described {
            answer = probe.answer(.described(TestData.description(members)), to: first + index)
        }
        let text = try #require(answer.first)
        #expect((40_000...70_000).contains(text.utf8.count), "\(text.utf8.count)")
        #expect(text.hasPrefix(#"{"type":"chatsList","data":[{"id":199,"#))
        #expect(text.hasSuffix(#"],"truncated":true}"#))
        let chats = text.components(separatedBy: #""participants":["#).dropFirst()
        #expect(chats.allSatisfy { $0.components(separatedBy: name).count == 51 })
        #expect(chats.allSatisfy { $0.contains(#""participant_count":999"#) })
    }

    static func listed(
        _ id: String, at moment: Int64, last: Message? = nil, unread: Int = 0
    ) -> ListedMembership {
        var record = ConversationRecord(
            .chats, creator: nil,
            createdAt: Timestamp(milliseconds: moment))
        record.updatedAt = Timestamp(milliseconds: moment)
        return ListedMembership(
            key: ConversationKey(tenant: "tenant", id: .init(id)), record: record,
            head: last?.sequence ?? 0,
            member: TestData.member("7", name: "Ann"), lastMessage: last, unreadCount: unread,
            unreadMentionCount: unread / 2)
    }
}
