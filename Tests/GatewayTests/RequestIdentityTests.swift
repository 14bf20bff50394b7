import Bytes
import ChatModel
import Testing

@testable import Gateway

@Suite("A request of an Engine.IO session")
struct RequestIdentityTests {
    private static func owner(_ user: UserID?, hasInvalidToken isRefused: Bool = false)
        -> RequestIdentity.SessionIdentity
    {
        .init(tenant: "t", user: user, hasInvalidToken: isRefused)
    }

    @Test(
        "without a token is the session's, whosever that is",
        arguments: [nil, UserID(tokenSubject: "ann"), UserID(anonymous: "ann")])
    func noToken(_ user: UserID?) {
        #expect(RequestIdentity.noToken.isAllowed(for: Self.owner(user)))
    }

    @Test(
        "with a token is the session's of the same user and tenant alone, and of one that has not said who it is"
    )
    func bearer() {
        let ann = RequestIdentity.bearer(tenant: "t", user: UserID(tokenSubject: "ann"))
        #expect(
            ann.isAllowed(for: Self.owner(UserID(tokenSubject: "ann")))
                && ann.isAllowed(for: Self.owner(nil)))
        #expect(
            !ann.isAllowed(for: Self.owner(UserID(tokenSubject: "bob")))
                && !ann.isAllowed(for: Self.owner(UserID(anonymous: "ann"))))
        #expect(
            !RequestIdentity.bearer(tenant: "u", user: UserID(tokenSubject: "ann")).isAllowed(
                for: Self.owner(UserID(tokenSubject: "ann"))))
        let guest = RequestIdentity.bearer(tenant: "t", user: UserID(anonymous: "ann"))
        #expect(
            guest.isAllowed(for: Self.owner(UserID(anonymous: "ann")))
                && !guest.isAllowed(for: Self.owner(UserID(tokenSubject: "ann"))))
    }

    @Test(
        "with a bad token is that of a session that was opened with one, which hears so, and no other's"
    )
    func invalidToken() {
        for user in [nil, UserID(tokenSubject: "ann")] {
            #expect(!RequestIdentity.invalidToken.isAllowed(for: Self.owner(user)))
        }
        #expect(RequestIdentity.invalidToken.isAllowed(for: Self.owner(nil, hasInvalidToken: true)))
    }

    @Test(
        "is told to another node as one word",
        arguments: [
            .noToken, .invalidToken,
            .bearer(tenant: "default", user: UserID(tokenSubject: "a b\n.-!é")),
            .bearer(tenant: "", user: UserID(tokenSubject: "")),
            .bearer(tenant: "default", user: UserID(anonymous: "ann")),
        ] as [RequestIdentity])
    func text(_ visitor: RequestIdentity) {
        #expect(RequestIdentity(visitor.text[...]) == visitor)
        #expect(!visitor.text.contains { $0.isWhitespace || $0.isNewline })
    }

    @Test("is none that another version tells of", arguments: ["", "?", "a", "a.b.c", "a.%"])
    func unknown(_ text: String) { #expect(RequestIdentity(text[...]) == nil) }
}
