import Bytes
import ChatModel
import Testing

@Suite("The number of a conversation's origin in earlier versions")
struct LegacyKindTests {
    @Test("stands for the origin, the join policy and the listing")
    func templates() {
        let table: [(Int, ConversationTemplate)] = [
            (0, .init(origin: "conversations")),
            (1, .init(origin: "pets")),
            (2, .init(origin: "chats", joinPolicy: .open)),
            (3, .init(origin: "rooms", joinPolicy: .open, isListed: true)),
            (4, .init(origin: "agents")),
            (5, .inbox),
        ]
        #expect(LegacyKind.allCases.map { Int($0.rawValue) } == table.map(\.0))
        #expect(LegacyKind.allCases.map(\.template) == table.map(\.1))
        for (number, template) in table {
            #expect(Int(LegacyKind(of: template.origin).rawValue) == number)
        }
    }

    @Test("is that of Conversations for any other origin")
    func otherOrigins() {
        for origin: ByteString in ["", "Rooms", "a sixth dialect"] {
            #expect(LegacyKind(of: origin) == .conversations)
            #expect(LegacyKind(origin: origin, isListed: false) == nil)
        }
        #expect(LegacyKind(origin: "rooms", isListed: true) == .rooms)
        #expect(LegacyKind(origin: "rooms", isListed: false) == nil)
        #expect(LegacyKind(origin: "conversations", isListed: true) == nil)
    }
}
