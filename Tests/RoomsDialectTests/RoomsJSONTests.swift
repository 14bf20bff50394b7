import Bytes
import ChatModel
import Testing

@testable import RoomsDialect

@Suite("The JSON of a conversation")
struct RoomsJSONTests {
    @Test("has every field, and no description for another protocol's conversation")
    func room() {
        var record = ConversationRecord(
            .rooms, title: "Tea \"time\"", dialectData: "a\nb",
            creator: UserID(tokenSubject: "ann"),
            createdAt: Timestamp(milliseconds: 1_000))
        record.updatedAt = Timestamp(milliseconds: 2_000)
        let ann = Member(
            user: UserID(tokenSubject: "ann"), name: "Ann", role: .creator,
            joinedAt: record.createdAt)
        let guest = Member(
            user: UserID(guest: "bob", key: "q8Zt-m_R", provenBy: .token), name: "Bob",
            role: .member, joinedAt: record.createdAt)
        let description = ConversationDetails(
            record: record, head: 7, members: [ann, guest], online: [guest.user])
        let last = Message(
            sequence: 7, revision: 9, sentAt: record.updatedAt,
            body: MessageBody(
                author: Person(id: guest.user, name: "Bob"), clientMessageID: nil, content: "hi"))
        var text = ByteBuffer()
        text.append(room: "abc12345", description, messageCount: 7, lastMessage: last)
        let participants =
            #"""
            [{"user_id":"ann","username":"Ann","online":false},{"user_id":"bob","username":"Bob",\#
            "online":true,"guest":true,"guest_key":"q8Zt-m_R"}]
            """#
        #expect(
            text.text
                == #"""
                {"room_id":"abc12345","title":"Tea \"time\"","description":"a\nb",\#
                "created_by":"ann",
                """#
                    + #"""
                    "created_at":"1970-01-01T00:00:01.000Z",\#
                    "updated_at":"1970-01-01T00:00:02.000Z","is_active":true,\#
                    "access":"open","listed":true,
                    """#
                + #""participants":\#(participants),"participant_count":2,"message_count":7,"#
                + #""last_message":{"id":"7","room_id":"abc12345","user_id":"bob","#
                + #""username":"Bob","content":"hi","#
                + #""timestamp":"1970-01-01T00:00:02.000Z","guest":true,"guest_key":"q8Zt-m_R"}}"#)

        record.creator = guest.user
        text.removeAll()
        text.append(
            room: "g", ConversationDetails(record: record, head: 0, members: [], online: []),
            messageCount: 0, lastMessage: nil)
        #expect(
            text.text.contains(
                #""created_by":"bob","guest":true,"guest_key":"q8Zt-m_R","created_at""#))

        record.origin = "pets"
        record.endedAt = record.updatedAt
        text.removeAll()
        text.append(
            room: "p", ConversationDetails(record: record, head: 0, members: [], online: []),
            messageCount: 0, lastMessage: nil)
        #expect(text.text.contains(#""description":"","#))
        #expect(
            text.text.contains(
                #""is_active":false,"access":"open","listed":true,"participants":[],"#
                    + #""participant_count":0,"message_count":0,"#))
        #expect(text.text.hasSuffix(#""last_message":null}"#))
    }

    @Test("lists at most a thousand participants, those online first")
    func manyParticipants() {
        let members = (0..<1100).map {
            Member(
                user: UserID(tokenSubject: ByteString("u\($0)")), name: "U", role: .member,
                joinedAt: Timestamp(milliseconds: 0))
        }
        func listed(online: Range<Int>) -> [String] {
            var text = ByteBuffer()
            text.append(participants: members, online: Set(members[online].map(\Member.user)))
            return text.text.split(separator: #"{"user_id":""#).dropFirst().map {
                String($0.prefix { $0 != "\"" })
            }
        }
        #expect(
            listed(online: 1050..<1100) == (Array(1050..<1100) + Array(0..<950)).map { "u\($0)" })
        #expect(listed(online: 0..<1100) == (0..<1000).map { "u\($0)" })
        #expect(listed(online: 5..<5) == (0..<1000).map { "u\($0)" })
    }

    @Test("contains messages as in the event")
    func messages() {
        let body = MessageBody(
            author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), clientMessageID: nil,
            content: "hi")
        let message = Message(
            sequence: 3, revision: 5, sentAt: Timestamp(milliseconds: 1), body: body)
        var text = ByteBuffer()
        let count = text.append(
            messages: [message, message.deleted(revision: 6)], inRoom: "r", on: .of([]), for: nil,
            within: .max)
        #expect(count == 2)
        let head = #"{"id":"3","room_id":"r","user_id":"ann","username":"Ann","content":"#
        let time = #""timestamp":"1970-01-01T00:00:00.001Z""#
        #expect(
            text.text == "[" + head + #""hi",\#(time)},"# + head
                + #""",\#(time),"is_edited":false,"is_deleted":true}]"#)
    }

    @Test("shows one absent guest of an id, and none next to a present one, if it is open")
    func guestsOfOneID() {
        func member(_ name: ByteString, _ key: ByteString) -> Member {
            Member(
                user: UserID(guest: name, key: key, provenBy: .connection), name: name,
                role: .member, joinedAt: Timestamp(milliseconds: 1))
        }
        let (first, second, third) = (
            member("ann", "aaaaaaaa"), member("ann", "bbbbbbbb"), member("ann", "cccccccc")
        )
        let others = [
            member("bob", "aaaaaaaa"),
            Member(
                user: UserID(tokenSubject: "ann"), name: "Ann", role: .member,
                joinedAt: Timestamp(milliseconds: 1)),
        ]
        func shown(online: [Member], in template: ConversationTemplate = .rooms) -> [UserID] {
            ConversationDetails(
                record: ConversationRecord(
                    template, title: "", creator: nil, createdAt: Timestamp(milliseconds: 1)),
                head: 0, members: [first, second, third] + others,
                online: Set(online.map(\.user))
            ).participants.map(\.user)
        }
        let rest = others.map(\.user)
        #expect(shown(online: []) == [third.user] + rest)
        #expect(shown(online: [first]) == [first.user] + rest)
        #expect(shown(online: [first, third]) == [first.user, third.user] + rest)
        // Only members may enter a closed conversation, so it shows them all.
        #expect(
            shown(online: [first], in: .rooms.closed)
                == [first.user, second.user, third.user] + rest)
    }
}
