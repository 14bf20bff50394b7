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
}
