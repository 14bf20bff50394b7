import Bytes
import Testing

@testable import Identity

@Suite("A guest token")
struct GuestTokenTests {
    private static let key = GuestKey(derivedFrom: secret, cluster: "confab")

    private static func guestToken(_ user: ByteString = "alice", as role: GuestRole = .member)
        throws -> String
    {
        try self.key.token(
            for: user, withKey: "q8Zt-m_R", named: "Alice", in: "room", as: role, at: now)
    }

    @Test(
        "names a guest and one conversation, for an hour", arguments: [GuestRole.member, .creator])
    func identity(_ role: GuestRole) throws {
        let verifier = TokenVerifier(secret: secret, guestKey: Self.key)
        let identity = try verifier.verify(Self.guestToken(as: role), at: now)
        #expect(
            identity
                == Identity(
                    user: "alice", displayName: "Alice", agent: "guest:alice",
                    grants: .listed(["room"]), guest: role, guestKey: "q8Zt-m_R",
                    expiry: Timestamp(milliseconds: now.milliseconds + 3_600_000)))
        #expect(throws: TokenError.expired) {
            try verifier.verify(
                Self.guestToken(), at: Timestamp(milliseconds: now.milliseconds + 3_600_000))
        }
        // A guest may choose any id: other users see it with the prefix for guests.
        #expect(
            try verifier.verify(Self.guestToken("guest:alice"), at: now).agent
                == "guest:guest:alice")
    }

    @Test("has the key that distinguishes guests of one name")
    func keys() throws {
        let verifier = TokenVerifier(secret: secret, guestKey: Self.key)
        for key in ["", "short", "q8Zt-m_R=", "q8Zt m_R", "q8Zt-m_Rq"] as [ByteString] {
            #expect(throws: TokenError.self) {
                try verifier.verify(
                    Self.key.token(
                        for: "alice", withKey: key, named: "Alice", in: "room", as: .member,
                        at: now), at: now)
            }
        }
        let keys = Set((0..<100).map { _ in GuestKey.randomKey() })
        #expect(keys.count == 100 && keys.allSatisfy { $0.byteCount == 8 })
        let payload = #"{"sub":"alice","conversations":["room"],"guest_key":"q8Zt-m_R"}"#
        #expect(
            try TokenVerifier(secret: secret).verify(token(payload: payload), at: now).guestKey
                == nil, "a claim of another issuer")
    }

    @Test("is not subject to the rules for other tokens")
    func rules() throws {
        let verifier = TokenVerifier(
            secret: secret, rules: TokenRules(audience: "chat", issuer: "here", leewaySeconds: 60),
            guestKey: Self.key)
        #expect(try verifier.verify(Self.guestToken(), at: now).guest == .member)
        #expect(throws: TokenError.expired) {
            try verifier.verify(
                Self.guestToken(), at: Timestamp(milliseconds: now.milliseconds + 3_600_000))
        }
    }

    @Test("is invalid without guests, in another cluster, or with another key")
    func otherKeys() throws {
        let made = try Self.guestToken()
        #expect(throws: TokenError.badSignature) {
            try TokenVerifier(secret: secret).verify(made, at: now)
        }
        let other = GuestKey(derivedFrom: secret, cluster: "other")
        #expect(throws: TokenError.badSignature) {
            try TokenVerifier(secret: secret, guestKey: other).verify(made, at: now)
        }
        let verifier = TokenVerifier(secret: secret, guestKey: Self.key)
        let payload = #"{"sub":"alice","conversations":["room"],"guest":"creator"}"#
        let forged = token(header: #"{"alg":"HS256","kid":"confab-guest"}"#, payload: payload)
        #expect(throws: TokenError.badSignature) { try verifier.verify(forged, at: now) }
        #expect(throws: TokenError.badSignature) {
            try verifier.verify(
                token(header: #"{"alg":"EdDSA","kid":"confab-guest"}"#, payload: payload), at: now)
        }
        // A claim of this name from another issuer does not make a guest.
        #expect(try verifier.verify(token(payload: payload), at: now).guest == nil)
        #expect(
            try verifier.verify(token(payload: #"{"sub":"alice","guest":true}"#), at: now).guest
                == nil)
    }

    @Test(
        "uses ids that no other token can claim",
        arguments: [
            (#"{"sub":"guest:alice"}"#, "sub"), (#"{"sub":"guest:"}"#, "sub"),
            (#"{"sub":"eve","agent_id":"guest:alice"}"#, "agent_id"),
        ])
    func reserved(_ payload: String, _ name: String) throws {
        let error = try #require(TokenVerifier(secret: secret).rejection(payload: payload))
        #expect(
            error.description.contains("\"\(name)\"") && error.description.contains("guest:"),
            "\(error)")
        #expect(throws: TokenError.self) {
            try TokenSigner(secret: secret).sign(Claims(subject: "guest:alice"))
        }
        for user in ["guest", "Guest:alice", "a guest:"] {
            #expect(
                try TokenVerifier(secret: secret).identity(payload: #"{"sub":"\#(user)"}"#).user
                    == ByteString(user))
        }
    }
}
