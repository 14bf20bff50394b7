import Bytes
import ChatModel
import Testing

@Suite("A page of messages")
struct MessagePageTests {
    private func message(_ sequence: SequenceNumber) -> Message {
        let ann = Person(id: UserID(tokenSubject: "ann"), name: "Ann")
        return Message(
            sequence: sequence, revision: sequence, sentAt: Timestamp(milliseconds: 0),
            body: MessageBody(author: ann, clientMessageID: nil, content: "\(sequence)"))
    }

    @Test(
        "finds its messages in any order, and those to which they reply",
        arguments: [[1, 2, 3], [3, 2, 1], [2, 5, 9], [9, 2, 5], [7], []])
    func lookup(sequences: [Int]) {
        var page = MessagePage.of(sequences.map(self.message))
        page.replyTargets = [self.message(40), self.message(30)]
        for sequence in 1...45 {
            let isKnown = sequences.contains(sequence) || [30, 40].contains(sequence)
            #expect(page.message(sequence)?.sequence == (isKnown ? sequence : nil))
        }
    }
}
