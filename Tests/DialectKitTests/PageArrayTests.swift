import Bytes
import ChatModel
import DialectKit
import Testing

@Suite("The messages of a frame")
struct PageArrayTests {
    @Test(
        "are as many as fit, and at least one",
        arguments: [
            // Which end is kept, the bytes, and the array.
            (false, 8, "[aa,bb,cc]"), (false, 7, "[aa,bb]"), (false, 5, "[aa,bb]"),
            (false, 4, "[aa]"), (false, 0, "[aa]"), (true, 8, "[aa,bb,cc]"), (true, 7, "[bb,cc]"),
            (true, 5, "[bb,cc]"), (true, 4, "[cc]"), (true, 0, "[cc]"),
        ])
    func fitting(keepsLast: Bool, bytes: Int, expected: String) {
        var text = ByteBuffer()
        text.append("x")
        let count = text.append(array: ["aa", "bb", "cc"], keepsLast: keepsLast, within: bytes) {
            $0.append(text: $1)
        }
        #expect(text.text == "x" + expected)
        #expect(count == expected.split(separator: ",").count)
        var none = ByteBuffer()
        let noCount = none.append(array: [String](), keepsLast: keepsLast, within: bytes) {
            $0.append(text: $1)
        }
        #expect(none.text == "[]" && noCount == 0)
    }

    @Test("are followed by the position at which the client continues, if there are more")
    func position() {
        let body = MessageBody(
            author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), clientMessageID: nil,
            content: "hi")
        var page = MessagePage.of(
            (3...5).map {
                Message(
                    sequence: $0, revision: $0, sentAt: Timestamp(milliseconds: 1), body: body)
            })
        #expect(page.next(afterShowing: 3, isForward: true) == nil)
        #expect(page.next(afterShowing: 2, isForward: true) == 4)
        #expect(page.next(afterShowing: 2, isForward: false) == 4)
        page.hasMore = true
        #expect(page.next(afterShowing: 3, isForward: true) == 5)
        #expect(page.next(afterShowing: 3, isForward: false) == 3)
    }
}
