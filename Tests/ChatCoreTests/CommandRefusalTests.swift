import ChatModel
import Testing

@testable import ChatCore

@Suite("A command of Bob is refused")
struct CommandRefusalTests {
    /// All commands except joins and creation. `edit` and `delete` concern message 1, which is
    /// Bob's. To add, to remove and to end is for the creator.
    private static let commands: [(name: String, command: ChatCommand)] = [
        ("post", .post(.text("hi", by: bob))),
        ("edit", .edit(1, content: "ho", by: Principal(person: bob, isAdmin: false))),
        ("delete", .delete(1, by: Principal(person: bob, isAdmin: false))),
        ("type", .typing(true, by: bob)),
        ("read", .read([1], by: bob.id)),
        ("part", .leave(bob.id)),
        ("end", .end(by: Principal(person: bob, isAdmin: false))),
        ("add", .addMember(cid, by: Principal(person: bob, isAdmin: false))),
        ("remove", .removeMember(ann.id, by: Principal(person: bob, isAdmin: false))),
        ("describe", .describe(by: Principal(person: bob, isAdmin: false))),
    ]
    private static let names = commands.map(\.name)

    private static func submit(_ name: String, to fixture: inout ConversationFixture) throws
        -> [String]
    {
        fixture.submit(try #require(Self.commands.first { $0.name == name }).command)
    }

    /// A conversation of Bob's, with one message by him.
    private static var bobsConversation: ConversationFixture {
        var fixture = ConversationFixture(of: [bob, ann], open: true)
        _ = fixture.post("hi", by: bob)
        return fixture
    }

    @Test("always if the conversation does not exist", arguments: names)
    func missing(_ name: String) throws {
        var fixture = ConversationFixture()
        #expect(try Self.submit(name, to: &fixture) == [refused(.noSuchConversation)])
    }

    @Test(
        "if he is not a member", arguments: names.filter { !["add", "remove", "end"].contains($0) })
    func nonMember(_ name: String) throws {
        var fixture = Self.bobsConversation
        _ = fixture.leave(bob)
        #expect(try Self.submit(name, to: &fixture) == [refused(.notAMember)])
    }

    @Test(
        "if it writes and the conversation has ended",
        arguments: ["post", "edit", "delete", "type", "end", "add"])
    func ended(_ name: String) throws {
        var fixture = Self.bobsConversation
        _ = fixture.end(by: bob)
        #expect(try Self.submit(name, to: &fixture) == [refused(.conversationEnded)])
    }

    @Test(
        "in no other case when the conversation has ended",
        arguments: ["read", "part", "describe", "remove"])
    func notEnded(_ name: String) throws {
        var fixture = Self.bobsConversation
        _ = fixture.end(by: bob)
        #expect(try !Self.submit(name, to: &fixture).contains(refused(.conversationEnded)))
    }

    @Test(
        "if it must be stored and writes are unavailable",
        arguments: ["post", "edit", "delete", "read", "part", "end", "add", "remove"])
    func storeUnavailable(_ name: String) throws {
        var fixture = Self.bobsConversation
        fixture.conversation.areWritesUnavailable = true
        fixture.clearStoreRequests()
        #expect(try Self.submit(name, to: &fixture) == [refused(.unavailable)])
        #expect(!fixture.storeRequests.contains { !$0.hasPrefix("look up") })
    }

    @Test("in no other case when writes are unavailable", arguments: ["type", "describe"])
    func notStoreUnavailable(_ name: String) throws {
        var fixture = Self.bobsConversation
        fixture.conversation.areWritesUnavailable = true
        #expect(try !Self.submit(name, to: &fixture).contains(refused(.unavailable)))
    }
}
