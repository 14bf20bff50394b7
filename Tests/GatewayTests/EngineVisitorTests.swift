import Bytes
import ChatModel
import Testing

@testable import Gateway

@Suite("A request of an Engine.IO session")
struct EngineVisitorTests {
    private static func owner(_ user: UserID?, isRefused: Bool = false) -> EngineVisitor.Owner {
        .init(tenant: "t", user: user, isRefused: isRefused)
    }

    @Test("without a token is the session's, whosever that is", arguments: [nil, UserID(token: "ann"), UserID(anonymous: "ann")])
    func nobody(_ user: UserID?) { #expect(EngineVisitor.nobody.maySpeak(for: Self.owner(user))) }

    @Test("with a token is the session's of the same user and tenant alone, and of one that has not said who it is")
    func bearer() {
        let ann = EngineVisitor.bearer(tenant: "t", user: UserID(token: "ann"))
        #expect(ann.maySpeak(for: Self.owner(UserID(token: "ann"))) && ann.maySpeak(for: Self.owner(nil)))
        #expect(!ann.maySpeak(for: Self.owner(UserID(token: "bob"))) && !ann.maySpeak(for: Self.owner(UserID(anonymous: "ann"))))
        #expect(!EngineVisitor.bearer(tenant: "u", user: UserID(token: "ann")).maySpeak(for: Self.owner(UserID(token: "ann"))))
        let guest = EngineVisitor.bearer(tenant: "t", user: UserID(anonymous: "ann"))
        #expect(guest.maySpeak(for: Self.owner(UserID(anonymous: "ann"))) && !guest.maySpeak(for: Self.owner(UserID(token: "ann"))))
    }

    @Test("with a bad token is that of a session that was opened with one, which hears so, and no other's")
    func impostor() {
        for user in [nil, UserID(token: "ann")] { #expect(!EngineVisitor.impostor.maySpeak(for: Self.owner(user))) }
        #expect(EngineVisitor.impostor.maySpeak(for: Self.owner(nil, isRefused: true)))
    }

    @Test(
        "is told to another node as one word",
        arguments: [
            .nobody, .impostor, .bearer(tenant: "default", user: UserID(token: "a b\n.-!é")), .bearer(tenant: "", user: UserID(token: "")),
            .bearer(tenant: "default", user: UserID(anonymous: "ann")),
        ] as [EngineVisitor])
    func text(_ visitor: EngineVisitor) {
        #expect(EngineVisitor(visitor.text[...]) == visitor)
        #expect(!visitor.text.contains { $0.isWhitespace || $0.isNewline })
    }

    @Test("is none that another version tells of", arguments: ["", "?", "a", "a.b.c", "a.%"])
    func unknown(_ text: String) { #expect(EngineVisitor(text[...]) == nil) }
}
