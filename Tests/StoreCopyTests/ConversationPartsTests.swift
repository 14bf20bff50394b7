import ChatModel
import RedisStore
import StoreTestSupport
import Testing

@testable import StoreCopy

@Suite("The parts of a copied conversation")
struct ConversationPartsTests {
    private func conversation(members: Int, oldest: Int, head: Int) -> LoadedConversation {
        let record = ConversationRecord(.unlisted, creator: nil, createdAt: TestOwner.time(0))
        return LoadedConversation(
            record: record, head: head, revision: 3 * head + members + 1, oldest: oldest,
            members: (0..<members).map { number in
                let person = TestOwner.person("user \(number)")
                return Member(
                    user: person.id, name: person.name, role: .member, joinedAt: TestOwner.time(1))
            })
    }

    private func message(_ number: Int, bytes: Int = 1) -> Message {
        let message = Message(
            sequence: number, revision: 2 * number, sentAt: TestOwner.time(number),
            body: MessageBody(
                author: TestOwner.person("ann"), clientMessageID: nil,
                content: String(repeating: "x", count: bytes)))
        guard number % 5 == 0 else { return message }
        return number % 10 == 0
            ? message.edited(to: "edited", revision: 2 * number + 1)
            : message.reacted(with: Reactions(), revision: 2 * number + 1)
    }

    /// All parts, as the shell makes them.
    private func parts(of conversation: LoadedConversation, messageBytes: Int = 1)
        -> [RestoreCommands.RestoredPart]
    {
        var parts = ConversationParts(conversation)
        var all: [RestoreCommands.RestoredPart] = []
        while !parts.isComplete, all.count < 1000 {
            var messages: [Message] = []
            if let number = parts.needsMessages {
                let end = min(conversation.head, number + ConversationParts.messageLimit)
                messages = (number + 1...end).map { self.message($0, bytes: messageBytes) }
            }
            all.append(parts.next(messages))
        }
        return all
    }

    @Test(
        "contain every member and message once, in order, and end with the conversation",
        arguments: [
            (0, 1, 0), (1, 1, 1), (3, 1, 200), (3, 1, 201), (1000, 7, 1006), (1001, 1, 0),
            (2500, 901, 1900), (2, 50, 49),
        ])
    func complete(members: Int, oldest: Int, head: Int) {
        let conversation = self.conversation(members: members, oldest: oldest, head: head)
        let parts = self.parts(of: conversation)
        #expect(parts.flatMap(\.members) == conversation.members)
        #expect(parts.flatMap(\.messages).map(\.sequence) == Array(oldest..<head + 1))
        #expect(parts.map(\.isFirst) == [true] + Array(repeating: false, count: parts.count - 1))
        #expect(parts.dropLast().allSatisfy { $0.completion == nil })
        let amended = (oldest..<head + 1).last { $0 % 5 == 0 }
        #expect(parts.last?.completion?.amendedAt == amended.map { 2 * $0 + 1 } ?? 0)
        var last: Int?
        for part in parts {
            #expect(part.last == last)
            last = part.messages.last?.sequence ?? last
            #expect(part.members.count <= ConversationParts.memberLimit)
            #expect(part.messages.count <= ConversationParts.messageLimit)
        }
    }

    @Test("have few bytes, but at least one message")
    func bytes() {
        let conversation = self.conversation(members: 1, oldest: 1, head: 8)
        #expect(self.parts(of: conversation, messageBytes: 2 << 20).count == 8)
        #expect(
            self.parts(of: conversation, messageBytes: 300 << 10).allSatisfy {
                $0.messages.map(\.body.content.utf8.count).reduce(0, +)
                    <= ConversationParts.byteLimit
            })
    }
}
