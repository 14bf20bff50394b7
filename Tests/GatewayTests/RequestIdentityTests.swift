import Bytes
import ChatModel
import Testing

@testable import Gateway

@Suite("A request for an Engine.IO session")
struct RequestIdentityTests {
    private static func owner(_ user: UserID?, hasInvalidToken: Bool = false)
        -> RequestIdentity.SessionIdentity
    {
        .init(tenant: "t", user: user, hasInvalidToken: hasInvalidToken)
    }

    @Test(
        "without a token may use every session",
        arguments: [nil, UserID(tokenSubject: "ann"), UserID(anonymous: "ann")])
    func noToken(_ user: UserID?) {
        #expect(RequestIdentity.noToken.isAllowed(for: Self.owner(user)))
    }

    @Test(
        "with a token may use sessions of the same user and tenant, and those without a user"
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
        "with an invalid token may use only a session that was opened with one"
    )
    func invalidToken() {
        for user in [nil, UserID(tokenSubject: "ann")] {
            #expect(!RequestIdentity.invalidToken.isAllowed(for: Self.owner(user)))
        }
        #expect(RequestIdentity.invalidToken.isAllowed(for: Self.owner(nil, hasInvalidToken: true)))
    }

    @Test(
        "has an identity that is encoded without spaces",
        arguments: [
            .noToken, .invalidToken,
            .bearer(tenant: "default", user: UserID(tokenSubject: "a b\n.-!é")),
            .bearer(tenant: "", user: UserID(tokenSubject: "")),
            .bearer(tenant: "default", user: UserID(anonymous: "ann")),
        ] as [RequestIdentity])
    func text(_ identity: RequestIdentity) {
        #expect(RequestIdentity(identity.text[...]) == identity)
        #expect(!identity.text.contains { $0.isWhitespace || $0.isNewline })
    }

    @Test(
        "has no identity if it is from another version", arguments: ["", "?", "a", "a.b.c", "a.%"])
    func unknown(_ text: String) { #expect(RequestIdentity(text[...]) == nil) }
}
