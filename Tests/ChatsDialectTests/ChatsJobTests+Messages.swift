import Bytes
import ChatModel
import ChatsDialect
import DialectKit
import DialectTestSupport
import Identity
import Testing

/// Messages, and chats without a subscription.
extension ChatsJobTests {
    private static let day: Int64 = 86_400_000

    /// Messages 1 to 6, two on each of three days. The last one is at noon.
    static func page(_ range: ClosedRange<Int>) -> MessagePage {
        let messages = range.map {
            TestData.message(
                $0, "\($0)",
                at: Timestamp(milliseconds: Int64(($0 - 1) / 2) * self.day + 43_200_000))
        }
        return MessagePage(messages: messages, head: 6, oldest: 1, revision: 6)
    }

    static func ids(_ frames: [String]) -> [Int] {
        frames.count == 1 ? frames[0].matches(of: /"id":(\d+),"chat"/).compactMap { Int($0.1) } : []
    }

    static func requestMessages(_ fields: String, of probe: inout SessionProbe) {
        _ = probe.send(#"{"type":"getChatMessages","data":{"chatId":5\#(fields)}}"#)
        _ = probe.answer(
            .described(
                TestData.description([
                    TestData.member("7", read: 6), TestData.member("bob", read: 2),
                ])))
    }

    @Test("reads as many pages as it needs, and answers oldest first")
    func pages() {
        var probe = SessionProbe.chats()
        Self.requestMessages("", of: &probe)
        #expect(
            probe.page(Self.page(4...6)) == ["read before(4) limit 200 in tenant/5, after 3 bytes"])
        #expect(
            probe.page(Self.page(2...3)) == ["read before(2) limit 200 in tenant/5, after 2 bytes"])
        #expect(Self.ids(probe.page(Self.page(1...1))) == [1, 2, 3, 4, 5, 6])
        Self.requestMessages("", of: &probe)
        #expect(
            probe.page(nil)
                == Self.error(
                    "the messages cannot be read at the moment; try again", "getChatMessages"))
    }

    @Test("examines 10,000 messages at most, and says how the client continues")
    func examined() {
        var probe = SessionProbe.chats()
        Self.requestMessages(#","date_to":"1970-01-02""#, of: &probe)
        var steps: [String] = []
        var first = 30_000
        repeat {
            first -= 200
            steps = probe.page(Self.page(first...first + 199))
        } while steps.first?.hasPrefix("read before(\(first)) limit 200 in tenant/5") == true
        #expect(first == 20_000)
        #expect(steps == [#"{"type":"chatMessages","data":[],"next_before_id":20000}"#])
    }

    @Test(
        "selects whole days in UTC, and of those the newest messages",
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
        "accepts names of days relative to the current day",
        arguments: [
            ("yesterday", 1, 0), ("day_before_yesterday", 2, 0), ("last_7_days", 7, 0),
            ("yesterday", 1, 86_399_999),
            ("day_before_yesterday", 2, 86_399_999), ("last_7_days", 7, 86_399_999),
        ])
    func dayNames(_ dayName: String, _ daysAgo: Int64, _ ofDay: Int64) {
        var probe = SessionProbe.chats()
        // A leap day, and the first week of a year.
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
            Self.requestMessages(#","date_from":"\#(dayName)""#, of: &probe)
            #expect(
                Self.ids(
                    probe.page(MessagePage(messages: messages, head: 6, oldest: 1, revision: 6)))
                    == [3, 4, 5, 6])
        }
    }

    @Test("reports which messages others have read, or were sent as read")
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
        // Bob has read up to 2; Ann, who wrote the others, up to 6.
        #expect(read == ["true", "true", "false", "true", "true", "false"])
        #expect(
            text.contains(
                #"""
                "text":"","timestamp":"2026-01-31T12:00:00.123Z","is_read":false,\#
                "is_edited":false,"is_deleted":true}
                """#
            ))
    }

    // MARK: Chats without a subscription

    @Test("enters a chat of the user again to post in it, but does not join others")
    func posting() {
        var probe = SessionProbe.chats()
        let frame = #"{"type":"newMessage","data":{"chat":6,"text":"x"}}"#
        #expect(probe.send(frame) == ["describe for 7 access membersOnly in tenant/6"])
        #expect(
            probe.answer(.described(TestData.description([TestData.member("7")]))) == [
                "enter tenant/6 as 7 Ann unlisted chats from now"
            ])
        #expect(probe.answer(Self.entered(isNew: false)) == [#"post "x" id - by 7 in tenant/6"#])
        #expect(
            probe.answer(.posted(TestData.message(1, "x")), isDelivered: true).isEmpty,
            "all subscribers receive it, including the sender")

        var other = SessionProbe.chats()
        _ = other.send(frame)
        #expect(
            other.answer(.failed(.notAMember))
                == Self.error("chat: not a member of this conversation", "newMessage"))
        _ = other.send(frame)
        #expect(
            other.answer(.failed(.noSuchConversation))
                == Self.error("chat: no such chat", "newMessage"))
        _ = other.send(#"{"type":"getChatMessages","data":{"chatId":6}}"#)
        #expect(
            other.answer(.failed(.noSuchConversation))
                == Self.error("chatId: no such chat", "getChatMessages"))
    }

    @Test("marks messages as read, and names a missing one")
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

    @Test("subscribes to a chat that another connection of the user has joined")
    func joinedElsewhere() {
        var probe = SessionProbe.chats()
        let user = UserID(tokenSubject: "7")
        func receive(_ body: MessageBody) -> [String] {
            probe.perform {
                $0.receivedInboxMessage(
                    Message(
                        sequence: 1, revision: 1, sentAt: Timestamp(milliseconds: 0), body: body),
                    in: .inbox(of: user, in: "tenant"), into: &$1)
            }
        }
        func notice(_ chat: ByteString) -> MessageBody {
            InboxNotice(chat, from: .start).body(by: Person(id: user, name: "Ann"))
        }
        #expect(
            receive(notice("6")) == [
                "enter tenant/6 as 7 Ann unlisted chats after 0 since 0, history read"
            ])
        #expect(receive(notice("5")).isEmpty)
        // A message that is no notice.
        #expect(receive(TestData.message(2, "8").body).isEmpty)
    }
}
