import Bytes
import ChatModel
import ChatsDialect
import DialectKit
import DialectTestSupport
import Identity
import Testing

@Suite("A request of several questions")
struct ChatsJobTests {
    private typealias TestData = ChatsOutputTests

    private static func error(_ words: String, _ request: String) -> [String] {
        let outcome = request == "newMessage" ? #","outcome":"refused""# : ""
        return [
            #"{"type":"error","data":{"message":"\#(words)","request":"\#(request)"\#(outcome)}}"#
        ]
    }

    private static func entered(isNew: Bool) -> ChatAnswer {
        var entered = JoinResult.empty
        entered.isNewMember = isNew
        return .joined(entered)
    }

    // MARK: Joining

    @Test(
        "joins a chat: whoever comes to one without saying how far has read everything, and the user's other connections hear of it"
    )
    func joining() {
        var probe = SessionProbe.chats()
        #expect(
            probe.send(#"{"type":"joinChat","data":{"chat":6}}"#) == [
                "describe for 7 guests ofOpen in tenant/6"
            ])
        #expect(
            probe.answer(.described(TestData.description([], head: 3))) == [
                "enter tenant/6 as 7 Ann unlisted chats from now, skipping history"
            ])
        #expect(
            probe.answer(Self.entered(isNew: true)) == [
                #"post "6" id - by 7 in tenant/@user:7"#,
                #"{"type":"chatJoined","data":{"chat":6,"user":{"id":7,"username":"Ann"}}}"#,
            ])
        #expect(
            probe.send(#"{"type":"newMessage","data":{"chat":6,"text":"x"}}"#) == [
                #"post "x" id - by 7 in tenant/6"#
            ], "it is heard")
    }

    @Test("joins with what has been read, if there is so much")
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
                #"{"type":"chatJoined","data":{"chat":6,"user":{"id":7,"username":"Ann"},"last_read_message":3}}"#
            ])
    }

    @Test(
        "answers what comes behind a message or a mark only when that is stored; messages to one chat need not wait for each other"
    )
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

    @Test("lets nothing overtake a mark that a join brings")
    func orderDuringJoin() {
        var probe = SessionProbe.chats()
        _ = probe.send(#"{"type":"joinChat","data":{"chat":6,"last_read_message":3}}"#)
        _ = probe.answer(.described(TestData.description([], head: 3)))
        #expect(probe.answer(Self.entered(isNew: false)).count == 1)
        #expect(probe.send(#"{"type":"getChats"}"#).isEmpty)
        #expect(
            probe.answer(.failed(.unavailable)) == Self.error(
                "the message could not be stored; try again", "joinChat") + [
                    "fetch conversations of 7 in tenant after - unread 1000"
                ])
    }

    @Test("makes a chat that a token lists by joining it, and no other")
    func unknownChats() {
        var probe = SessionProbe.chats(grants: .listed(["5", "6"]))
        _ = probe.send(#"{"type":"joinChat","data":{"chat":6}}"#)
        #expect(
            probe.answer(.failed(.noSuchConversation)) == [
                "enter tenant/6 as 7 Ann listed chats from now, skipping history"
            ])
        #expect(probe.answer(.failed(.unavailable)).count == 1)
        _ = probe.send(#"{"type":"joinChat","data":{"chat":8}}"#)
        #expect(
            probe.answer(.failed(.noSuchConversation))
                == Self.error("chat: no such chat", "joinChat"))
        _ = probe.send(#"{"type":"joinChat","data":{"chat":9}}"#)
        #expect(
            probe.answer(.failed(.accessDenied)) == Self.error("chat: access denied", "joinChat"))
    }

    @Test(
        "says a message's id again to its sender: to its connections with the message, and to a repeat with what the first one made"
    )
    func localID() {
        var probe = SessionProbe.chats()
        let frame = #"{"type":"newMessage","data":{"chat":5,"text":"x","local_id":"n-1"}}"#
        let made =
            #"{"type":"messageCreated","data":{"id":1,"chat":5,"sender":{"id":7,"username":"Ann"},"text":"x","timestamp":"2026-01-31T12:00:00.123Z","is_read":false"#
        #expect(probe.send(frame) == [#"post "x" id "n-1" by 7 in tenant/5"#])
        #expect(probe.answer(.posted(TestData.message(1, "x")), isDelivered: true).isEmpty)
        _ = probe.send(frame)
        #expect(probe.answer(.posted(TestData.message(1, "x"))) == [made + #","local_id":"n-1"}}"#])
        _ = probe.send(frame)
        #expect(
            probe.answer(.failed(.outcomeUnknown)) == [
                #"{"type":"error","data":{"message":"\#(ChatError.outcomeUnknown)","request":"newMessage","outcome":"unknown","local_id":"n-1"}}"#
            ])
        // One that waits for its turn keeps it.
        _ = probe.send(#"{"type":"getChatDetails","data":{"chatId":5}}"#)
        _ = probe.send(frame)
        let answers = probe.answer(.failed(.notAMember))
        #expect(answers.last == #"post "x" id "n-1" by 7 in tenant/5"#)
    }

    @Test("says of a name that a member has whose it is")
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

    // MARK: Making

    @Test("makes an empty chat, under the next number that no token has made")
    func creating() {
        var probe = SessionProbe.chats()
        _ = probe.send(#"{"type":"createEmptyChat","data":{}}"#)
        #expect(probe.storeAnswer(.number(3)) == [#"create chats ""  by 7 with  in tenant/3"#])
        #expect(probe.answer(.failed(.conversationExists)) == ["fetch nextNumber(tenant: tenant)"])
        #expect(probe.storeAnswer(.number(4)) == [#"create chats ""  by 7 with  in tenant/4"#])
        #expect(
            probe.answer(.described(TestData.description([]))) == [
                #"{"type":"emptyChatCreated","data":{"id":4,"participants":[],"created_at":"2026-01-31T12:00:00.123Z","updated_at":"2026-01-31T12:00:01.123Z"}}"#
            ])
        // However many tokens have made, the counter goes on, and what is said of too many is true.
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
                    "the next 10000 ids are those of other chats; try again", "createEmptyChat"))
        _ = probe.send(#"{"type":"createEmptyChat","data":{}}"#)
        #expect(
            probe.storeAnswer(nil)
                == Self.error("this cannot be answered at the moment; try again", "createEmptyChat")
        )
    }

    // MARK: Looking

    @Test("shows a chat with its members, by their numbers")
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
                #"{"type":"chatDetails","data":{"id":5,"participants":[{"id":7,"username":"Ann"},{"id":1099511627776,"username":"Bob"}],"created_at":"2026-01-31T12:00:00.123Z","updated_at":"2026-01-31T12:00:01.123Z"}}"#
            ])
        _ = probe.send(#"{"type":"getChatDetails","data":{"chatId":6}}"#)
        #expect(
            probe.answer(.failed(.notAMember))
                == Self.error("chatId: not a member of this conversation", "getChatDetails"))
    }

    @Test("lists chats, newest activity first, with what is unread and what was said last")
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
                "fetch conversations of 7 in tenant after more unread 1000"
            ])
        var second = MembershipPage()
        second.memberships = [Self.listed("room", at: 5)]
        #expect(
            probe.storeAnswer(.memberships(second)) == [
                "describe for 7 guests none in tenant/6",
                "describe for 7 guests none in tenant/room",
                "describe for 7 guests none in tenant/5",
            ])
        let asked = probe.tags.count
        let members = [TestData.member("7", name: "Ann", read: 4)]
        #expect(probe.answer(.described(TestData.description(members)), to: asked - 3).isEmpty)
        #expect(probe.answer(.failed(.notAMember), to: asked - 2).isEmpty, "left meanwhile")
        // Of the moment at which the list was made, as its order is.
        func fields(_ updatedAt: String) -> String {
            #""participants":[{"id":7,"username":"Ann"}],"created_at":"2026-01-31T12:00:00.123Z","updated_at":"1970-01-01T00:00:00.\#(updatedAt)Z""#
        }
        let last =
            #"{"id":4,"chat":6,"sender":{"id":8,"username":"8"},"text":"last","timestamp":"2026-01-31T12:00:00.123Z","is_read":true}"#
        #expect(
            probe.answer(.described(TestData.description(members)), to: asked - 1) == [
                #"{"type":"chatsList","data":[{"id":6,\#(fields("009")),"unread_count":2,"last_message":\#(last)},{"id":5,\#(fields("001")),"unread_count":0,"last_message":null}]}"#
            ])
    }

    private static func listed(
        _ id: String, at moment: Int64, last: Message? = nil, unread: Int = 0
    ) -> ListedMembership {
        var record = ConversationRecord(
            joinPolicy: .open, kind: .chats, creator: nil,
            createdAt: Timestamp(milliseconds: moment))
        record.updatedAt = Timestamp(milliseconds: moment)
        return ListedMembership(
            key: ConversationKey(tenant: "tenant", id: .init(id)), record: record,
            head: last?.sequence ?? 0,
            member: TestData.member("7", name: "Ann"), lastMessage: last, unreadCount: unread)
    }

    // MARK: Messages

    private static let day: Int64 = 86_400_000

    /// Messages 1 to 6, two on each of three days; the last of them is in the middle of a day.
    private static func page(_ range: ClosedRange<Int>) -> MessagePage {
        let messages = range.map {
            TestData.message(
                $0, "\($0)",
                at: Timestamp(milliseconds: Int64(($0 - 1) / 2) * self.day + 43_200_000))
        }
        return MessagePage(messages: messages, head: 6, oldest: 1, revision: 6)
    }

    private static func ids(_ frames: [String]) -> [Int] {
        frames.count == 1 ? frames[0].matches(of: /"id":(\d+),"chat"/).compactMap { Int($0.1) } : []
    }

    private static func requestMessages(_ fields: String, of probe: inout SessionProbe) {
        _ = probe.send(#"{"type":"getChatMessages","data":{"chatId":5\#(fields)}}"#)
        _ = probe.answer(
            .described(
                TestData.description([
                    TestData.member("7", read: 6), TestData.member("bob", read: 2),
                ])))
    }

    @Test("reads back as far as it has to, and answers oldest first")
    func pages() {
        var probe = SessionProbe.chats()
        Self.requestMessages("", of: &probe)
        #expect(probe.page(Self.page(4...6)) == ["read before(4) limit 200 in tenant/5"])
        #expect(probe.page(Self.page(2...3)) == ["read before(2) limit 200 in tenant/5"])
        #expect(Self.ids(probe.page(Self.page(1...1))) == [1, 2, 3, 4, 5, 6])
        Self.requestMessages("", of: &probe)
        #expect(
            probe.page(nil)
                == Self.error(
                    "the messages cannot be read at the moment; try again", "getChatMessages"))
    }

    @Test(
        "keeps to days of UTC, the first and the last included, and to the newest of what is left",
        arguments: [
            (#","date_from":"1970-01-02""#, [3, 4, 5, 6]),
            (#","date_to":"1970-01-02""#, [1, 2, 3, 4]),
            (#","date_from":"1970-01-02","date_to":"1970-01-02""#, [3, 4]),
            (#","date_from":"1970-01-04""#, []),
            (#","date_from":"1970-01-03","date_to":"1970-01-02""#, []), (#","last":3"#, [4, 5, 6]),
            (#","last":1,"date_to":"1970-01-02""#, [4]),
            (#","date_from":"yesterday""#, [1, 2, 3, 4, 5, 6]),
        ])
    func days(_ fields: String, _ expected: [Int]) {
        var probe = SessionProbe.chats()
        Self.requestMessages(fields, of: &probe)
        #expect(Self.ids(probe.page(Self.page(1...6))) == expected)
    }

    @Test(
        "knows what the words for days mean when a client says them",
        arguments: [
            ("yesterday", 1, 0), ("day_before_yesterday", 2, 0), ("last_7_days", 7, 0),
            ("yesterday", 1, 86_399_999),
            ("day_before_yesterday", 2, 86_399_999), ("last_7_days", 7, 86_399_999),
        ])
    func dayNames(_ word: String, _ daysAgo: Int64, _ ofDay: Int64) {
        var probe = SessionProbe.chats()
        // A leap day, and a year's first week.
        for today: Int64 in [19_782, 20_457] {
            probe.now = Timestamp(milliseconds: today * Self.day + ofDay)
            let first = (today - daysAgo) * Self.day
            let moments = [
                first - Self.day, first - 1, first, first + 1, first + Self.day,
                today * Self.day + ofDay,
            ]
            let messages = moments.enumerated().map {
                TestData.message($0.offset + 1, "x", at: Timestamp(milliseconds: $0.element))
            }
            Self.requestMessages(#","date_from":"\#(word)""#, of: &probe)
            #expect(
                Self.ids(
                    probe.page(MessagePage(messages: messages, head: 6, oldest: 1, revision: 6)))
                    == [3, 4, 5, 6])
        }
    }

    @Test("tells what others have read, or was sent so")
    func isRead() {
        var probe = SessionProbe.chats()
        Self.requestMessages("", of: &probe)
        let messages = [
            TestData.message(1, "a"), TestData.message(2, "b"), TestData.message(3, "c"),
            TestData.message(4, "d", by: "8"),
            TestData.message(5, "e", isRead: true), TestData.message(6, "", .deleted),
        ]
        let text = probe.page(MessagePage(messages: messages, head: 6, oldest: 1, revision: 6))
            .joined()
        let read = text.matches(of: /"is_read":(true|false)/).map { String($0.1) }
        // Bob has read 2; Ann, whose own the others are, 6.
        #expect(read == ["true", "true", "false", "true", "true", "false"])
        #expect(
            text.contains(
                #""text":"","timestamp":"2026-01-31T12:00:00.123Z","is_read":false,"is_edited":false,"is_deleted":true}"#
            ))
    }

    // MARK: Chats that are not heard

    @Test(
        "comes in again to say something in a chat of the user's that it does not hear; others it does not join by that"
    )
    func posting() {
        var probe = SessionProbe.chats()
        let frame = #"{"type":"newMessage","data":{"chat":6,"text":"x"}}"#
        #expect(probe.send(frame) == ["describe for 7 guests none in tenant/6"])
        #expect(
            probe.answer(.described(TestData.description([TestData.member("7")]))) == [
                "enter tenant/6 as 7 Ann unlisted chats from now"
            ])
        #expect(probe.answer(Self.entered(isNew: false)) == [#"post "x" id - by 7 in tenant/6"#])
        #expect(
            probe.answer(.posted(TestData.message(1, "x")), isDelivered: true).isEmpty,
            "everybody is told, the sender too")

        var stranger = SessionProbe.chats()
        _ = stranger.send(frame)
        #expect(
            stranger.answer(.failed(.notAMember))
                == Self.error("chat: not a member of this conversation", "newMessage"))
        _ = stranger.send(frame)
        #expect(
            stranger.answer(.failed(.noSuchConversation))
                == Self.error("chat: no such chat", "newMessage"))
        _ = stranger.send(#"{"type":"getChatMessages","data":{"chatId":6}}"#)
        #expect(
            stranger.answer(.failed(.noSuchConversation))
                == Self.error("chatId: no such chat", "getChatMessages"))
    }

    @Test("marks what is read, and names what is not there")
    func markRead() {
        var probe = SessionProbe.chats()
        let frame = #"{"type":"markRead","data":{"chat":5,"last_read_message":9}}"#
        _ = probe.send(frame)
        #expect(probe.answer(.read(unknown: [])).isEmpty)
        _ = probe.send(frame)
        #expect(
            probe.answer(.read(unknown: [9]))
                == Self.error("last_read_message: there is no message 9", "markRead"))
    }

    @Test("hears what another connection of the user's has joined")
    func joinedElsewhere() {
        var probe = SessionProbe.chats()
        let note = TestData.message(1, "6")
        #expect(
            probe.perform {
                $0.receivedInboxMessage(
                    note, in: .inbox(of: UserID(tokenSubject: "7"), in: "tenant"), into: &$1)
            } == [
                "enter tenant/6 as 7 Ann unlisted chats from now, skipping history"
            ])
        #expect(
            probe.perform {
                $0.receivedInboxMessage(
                    TestData.message(2, "5"),
                    in: .inbox(of: UserID(tokenSubject: "7"), in: "tenant"), into: &$1)
            }.isEmpty)
    }
}
