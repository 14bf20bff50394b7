import Bytes
import ChatModel
import Testing

@testable import EngineTransport

@Suite("A request for an Engine.IO session")
struct EngineRequestIdentityTests {
    private static func owner(_ user: UserID?) -> EngineSessionOwner {
        EngineSessionOwner(tenant: "t", user: user)
    }

    @Test(
        "without a token may use every session",
        arguments: [nil, UserID(tokenSubject: "ann"), UserID(anonymous: "ann")])
    func noToken(_ user: UserID?) {
        #expect(
            EngineRequestIdentity.noToken.isAllowed(for: Self.owner(user), hasInvalidToken: false))
    }

    @Test(
        "with a token may use sessions of the same user and tenant, and those without a user"
    )
    func bearer() {
        let ann = EngineRequestIdentity.bearer(tenant: "t", user: UserID(tokenSubject: "ann"))
        #expect(
            ann.isAllowed(for: Self.owner(UserID(tokenSubject: "ann")), hasInvalidToken: false)
                && ann.isAllowed(for: Self.owner(nil), hasInvalidToken: false))
        #expect(
            !ann.isAllowed(for: Self.owner(UserID(tokenSubject: "bob")), hasInvalidToken: false)
                && !ann.isAllowed(for: Self.owner(UserID(anonymous: "ann")), hasInvalidToken: false)
        )
        #expect(
            !EngineRequestIdentity.bearer(tenant: "u", user: UserID(tokenSubject: "ann")).isAllowed(
                for: Self.owner(UserID(tokenSubject: "ann")), hasInvalidToken: false))
        let guest = EngineRequestIdentity.bearer(tenant: "t", user: UserID(anonymous: "ann"))
        #expect(
            guest.isAllowed(for: Self.owner(UserID(anonymous: "ann")), hasInvalidToken: false)
                && !guest.isAllowed(
                    for: Self.owner(UserID(tokenSubject: "ann")), hasInvalidToken: false)
        )
    }

    @Test(
        "with an invalid token may use only a session that was opened with one"
    )
    func invalidToken() {
        for user in [nil, UserID(tokenSubject: "ann")] {
            #expect(
                !EngineRequestIdentity.invalidToken.isAllowed(
                    for: Self.owner(user), hasInvalidToken: false))
        }
        #expect(
            EngineRequestIdentity.invalidToken.isAllowed(
                for: Self.owner(nil), hasInvalidToken: true))
    }

    @Test(
        "has an identity that is encoded without spaces",
        arguments: [
            .noToken, .invalidToken,
            .bearer(tenant: "default", user: UserID(tokenSubject: "a b\n.-!é")),
            .bearer(tenant: "", user: UserID(tokenSubject: "")),
            .bearer(tenant: "default", user: UserID(anonymous: "ann")),
        ] as [EngineRequestIdentity])
    func text(_ identity: EngineRequestIdentity) {
        #expect(EngineRequestIdentity(identity.text[...]) == identity)
        #expect(!identity.text.contains { $0.isWhitespace || $0.isNewline })
    }

    @Test(
        "has no identity if it is from another version", arguments: ["", "?", "a", "a.b.c", "a.%"])
    func unknown(_ text: String) { #expect(EngineRequestIdentity(text[...]) == nil) }
}
