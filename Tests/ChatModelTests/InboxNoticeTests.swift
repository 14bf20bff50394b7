import Bytes
import ChatModel
import Testing

@Suite("The notice of a conversation in an inbox")
struct InboxNoticeTests {
    private static let ann = Person(id: UserID(tokenSubject: "ann"), name: "Ann")

    @Test(
        "is read as it was written",
        arguments: ["", #""pet_id":"p","providers":["q","r"]"#, #""head":1"#],
        [
            InboxNotice.Position.start, .init(head: 12, revision: 345),
            .init(head: .max, revision: 1),
        ])
    func roundTrip(fields: String, position: InboxNotice.Position) {
        let notice = InboxNotice("room-1", from: position, fields: ByteString(fields))
        let body = notice.body(by: Self.ann, id: ClientMessageID(given: "id"))
        #expect(InboxNotice(body) == notice)
        #expect(body.author.id == Self.ann.id && body.clientMessageID?.displayID == "id")
        #expect(body.content == "room-1")
    }

    @Test(
        "is malformed without a position",
        arguments: [
            nil, "", "{}", #"{"pet_id":"p"}"#, #"{"head":1}"#, #"{"head":x,"rev":1}"#,
        ])
    func withoutPosition(metadata: String?) {
        let body = MessageBody(
            author: Self.ann, clientMessageID: nil, content: "a",
            metadata: metadata.map { Array($0.utf8) })
        #expect(InboxNotice(body) == nil)
    }
}
