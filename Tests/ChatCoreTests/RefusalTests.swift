import ChatModel
import Testing

@testable import ChatCore

@Suite("Bob is refused")
struct RefusalTests {
    /// Everything that somebody can ask but to come in; `edit` and `delete` are of message 1, which is Bob's.
    private static let acts: [(name: String, command: ChatCommand)] = [
        ("post", .post(.said("hi", by: bob))),
        ("edit", .edit(1, content: "ho", by: Actor(person: bob, isAdmin: false))),
        ("delete", .delete(1, by: Actor(person: bob, isAdmin: false))),
        ("type", .typing(true, by: bob)),
        ("read", .read([1], by: bob.id)),
        ("part", .part(bob.id)),
        ("end", .end(by: Actor(person: bob, isAdmin: false))),
        ("describe", .describe(by: Actor(person: bob, isAdmin: false))),
    ]
    private static let names = acts.map(\.name)

    private static func asked(_ name: String, of stage: inout Stage) throws -> [String] {
        stage.ask(try #require(Self.acts.first { $0.name == name }).command)
    }

    /// Bob's conversation, in which he has said something.
    private static var bobs: Stage {
        var stage = Stage(of: [bob, ann])
        _ = stage.say("hi", by: bob)
        return stage
    }

    @Test("everything where there is no such conversation", arguments: names)
    func missing(_ name: String) throws {
        var stage = Stage()
        #expect(try Self.asked(name, of: &stage) == [refused(.noSuchConversation)])
    }

    @Test("everything where he is no member", arguments: names)
    func stranger(_ name: String) throws {
        var stage = Self.bobs
        _ = stage.part(bob)
        #expect(try Self.asked(name, of: &stage) == [refused(.notAMember)])
    }

    @Test("what writes when the conversation has ended", arguments: ["post", "edit", "delete", "type", "end"])
    func ended(_ name: String) throws {
        var stage = Self.bobs
        _ = stage.end(by: bob)
        #expect(try Self.asked(name, of: &stage) == [refused(.conversationEnded)])
    }

    @Test("nothing else when it has ended", arguments: ["read", "part", "describe"])
    func notEnded(_ name: String) throws {
        var stage = Self.bobs
        _ = stage.end(by: bob)
        #expect(try !Self.asked(name, of: &stage).contains(refused(.conversationEnded)))
    }

    @Test("what must be stored while the store is away", arguments: ["post", "edit", "delete", "read", "part", "end"])
    func storeAway(_ name: String) throws {
        var stage = Self.bobs
        stage.conversation.isStoreAway = true
        stage.forgetAsked()
        #expect(try Self.asked(name, of: &stage) == [refused(.unavailable)])
        #expect(!stage.asked.contains { !$0.hasPrefix("find") })
    }

    @Test("nothing else while it is away", arguments: ["type", "describe"])
    func notStoreAway(_ name: String) throws {
        var stage = Self.bobs
        stage.conversation.isStoreAway = true
        #expect(try !Self.asked(name, of: &stage).contains(refused(.unavailable)))
    }
}
