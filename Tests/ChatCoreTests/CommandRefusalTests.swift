import ChatModel
import Testing

@testable import ChatCore

@Suite("Bob is refused")
struct CommandRefusalTests {
    /// Everything that somebody can ask but to come in; `edit` and `delete` are of message 1, which is Bob's.
    private static let commands: [(name: String, command: ChatCommand)] = [
        ("post", .post(.text("hi", by: bob))),
        ("edit", .edit(1, content: "ho", by: Principal(person: bob, isAdmin: false))),
        ("delete", .delete(1, by: Principal(person: bob, isAdmin: false))),
        ("type", .typing(true, by: bob)),
        ("read", .read([1], by: bob.id)),
        ("part", .leave(bob.id)),
        ("end", .end(by: Principal(person: bob, isAdmin: false))),
        ("describe", .describe(by: Principal(person: bob, isAdmin: false))),
    ]
    private static let names = commands.map(\.name)

    private static func submit(_ name: String, to stage: inout ConversationFixture) throws
        -> [String]
    {
        stage.submit(try #require(Self.commands.first { $0.name == name }).command)
    }

    /// Bob's conversation, in which he has said something.
    private static var bobsConversation: ConversationFixture {
        var stage = ConversationFixture(of: [bob, ann])
        _ = stage.post("hi", by: bob)
        return stage
    }

    @Test("everything where there is no such conversation", arguments: names)
    func missing(_ name: String) throws {
        var stage = ConversationFixture()
        #expect(try Self.submit(name, to: &stage) == [refused(.noSuchConversation)])
    }

    @Test("everything where he is no member", arguments: names)
    func nonMember(_ name: String) throws {
        var stage = Self.bobsConversation
        _ = stage.leave(bob)
        #expect(try Self.submit(name, to: &stage) == [refused(.notAMember)])
    }

    @Test(
        "what writes when the conversation has ended",
        arguments: ["post", "edit", "delete", "type", "end"])
    func ended(_ name: String) throws {
        var stage = Self.bobsConversation
        _ = stage.end(by: bob)
        #expect(try Self.submit(name, to: &stage) == [refused(.conversationEnded)])
    }

    @Test("nothing else when it has ended", arguments: ["read", "part", "describe"])
    func notEnded(_ name: String) throws {
        var stage = Self.bobsConversation
        _ = stage.end(by: bob)
        #expect(try !Self.submit(name, to: &stage).contains(refused(.conversationEnded)))
    }

    @Test(
        "what must be stored while the store is away",
        arguments: ["post", "edit", "delete", "read", "part", "end"])
    func storeUnavailable(_ name: String) throws {
        var stage = Self.bobsConversation
        stage.conversation.areWritesUnavailable = true
        stage.clearStoreRequests()
        #expect(try Self.submit(name, to: &stage) == [refused(.unavailable)])
        #expect(!stage.storeRequests.contains { !$0.hasPrefix("find") })
    }

    @Test("nothing else while it is away", arguments: ["type", "describe"])
    func notStoreUnavailable(_ name: String) throws {
        var stage = Self.bobsConversation
        stage.conversation.areWritesUnavailable = true
        #expect(try !Self.submit(name, to: &stage).contains(refused(.unavailable)))
    }
}
