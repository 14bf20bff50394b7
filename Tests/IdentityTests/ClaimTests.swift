import Bytes
import Testing

@testable import Identity

@Suite("The claims of a valid token")
struct ClaimTests {
    private let verifier = TokenVerifier(secret: secret)

    @Test("need only a user; all others have defaults")
    func defaults() throws {
        let identity = try self.verifier.identity(payload: #"{"sub":"alice"}"#)
        #expect(
            identity
                == Identity(
                    user: "alice", displayName: "alice", tenant: "default", agent: "alice",
                    grants: .none))
        #expect(!identity.grants("general"))
    }

    @Test("use username or else name as display name, and ignore null")
    func displayNames() throws {
        #expect(
            try self.verifier.identity(payload: #"{"sub":"a","name":"N","username":"U"}"#)
                .displayName == "U")
        #expect(try self.verifier.identity(payload: #"{"sub":"a","name":"N"}"#).displayName == "N")
        #expect(
            try self.verifier.identity(payload: #"{"sub":"a","name":"N","username":null}"#)
                .displayName == "N")
        #expect(try self.verifier.identity(payload: #"{"sub":"a","name":null}"#).displayName == "a")
    }

    @Test("that are null count as missing")
    func nullClaims() throws {
        let names = [
            "username", "name", "tenant_id", "agent_id", "conversations", "channel_id", "admin",
            "exp", "nbf", "aud", "iss",
        ]
        let plain = try self.verifier.identity(payload: #"{"sub":"a"}"#)
        for name in names {
            #expect(
                try self.verifier.identity(payload: #"{"sub":"a","\#(name)":null}"#) == plain,
                "\(name)")
        }
        let all = names.map { #""\#($0)":null"# }.joined(separator: ",")
        #expect(try self.verifier.identity(payload: #"{"sub":"a",\#(all)}"#) == plain)
        #expect(
            try self.verifier.identity(
                payload: #"{"sub":"a","conversations":null,"channel_id":"c"}"#
            ).grants == .listed(["c"]))
        // A required claim counts as missing.
        #expect(
            self.verifier.rejection(payload: #"{"sub":null}"#)
                == self.verifier.rejection(payload: "{}"))
        let strict = TokenVerifier(
            secret: secret, rules: TokenRules(audience: "chat", issuer: "here"))
        #expect(throws: TokenError.wrongAudience) {
            try strict.identity(payload: #"{"sub":"a","aud":null,"iss":"here"}"#)
        }
        #expect(throws: TokenError.wrongIssuer) {
            try strict.identity(payload: #"{"sub":"a","aud":"chat","iss":null}"#)
        }
    }

    @Test(
        "that are invalid are named in the error",
        arguments: [
            ("sub", "7"), ("sub", #""""#), ("username", "7"), ("username", #""""#), ("name", "7"),
            ("name", #""\u0007""#),
            ("tenant_id", "7"), ("tenant_id", #""a b""#), ("agent_id", "[]"), ("agent_id", #""""#),
            ("conversations", "true"),
            ("conversations", #"["a b"]"#), ("conversations", "[null]"), ("channel_id", "{}"),
            ("channel_id", #""a b""#),
            ("admin", #""yes""#), ("exp", #""1""#), ("nbf", "-1"), ("aud", "7"), ("aud", "[null]"),
            ("iss", "7"),
        ])
    func wrongClaims(_ name: String, _ value: String) throws {
        let subject = name == "sub" ? "" : #""sub":"a","#
        let error = try #require(
            self.verifier.rejection(payload: #"{\#(subject)"\#(name)":\#(value)}"#))
        #expect(error.description.contains("\"\(name)\""), "\(error)")
    }

    @Test("grant the conversations in conversations and channel_id, in every form")
    func grants() throws {
        func grants(_ claims: String) throws -> Grants {
            try self.verifier.identity(payload: #"{"sub":"a",\#(claims)}"#).grants
        }
        #expect(try grants(#""conversations":"*""#) == .all)
        #expect(try grants(#""conversations":["*"]"#) == .all)
        #expect(try grants(#""conversations":["a","*"]"#) == .all)
        #expect(try grants(#""conversations":"a:b""#) == .listed(["a:b"]))
        #expect(try grants(#""conversations":7"#) == .listed(["7"]))
        #expect(
            try grants(#""conversations":["a",7,"7",9007199254740993]"#)
                == .listed(["a", "7", "9007199254740993"]))
        #expect(try grants(#""conversations":[]"#) == .none)
        #expect(try grants(#""channel_id":"c""#) == .listed(["c"]))
        #expect(try grants(#""channel_id":"c","conversations":["a"]"#) == .listed(["a", "c"]))
        #expect(try grants(#""channel_id":"*","conversations":["a"]"#) == .all)
    }

    @Test("grant exactly the listed conversations")
    func inclusion() throws {
        let identity = try self.verifier.identity(
            payload: #"{"sub":"a","conversations":["general"]}"#)
        #expect(identity.grants("general"))
        #expect(!identity.grants("General"))
        #expect(!identity.grants("*"))
        #expect(
            try self.verifier.identity(payload: #"{"sub":"a","conversations":"*"}"#).grants(
                "anything"))
    }

    @Test("may have texts of the maximum length, counted in characters")
    func longest() throws {
        let name = String(repeating: "é", count: 128)
        let tenant = String(repeating: "t", count: 64)
        let conversation = String(repeating: "c", count: 128)
        let ids = #""sub":"\#(name)","agent_id":"\#(name)","tenant_id":"\#(tenant)""#
        let identity = try self.verifier.identity(
            payload: #"{\#(ids),"conversations":"\#(conversation)"}"#)
        #expect(identity.user == ByteString(name))
        #expect(identity.tenant == ByteString(tenant))
        #expect(identity.grants(ByteString(conversation)))
    }

    @Test("expire a token exactly at exp")
    func expiry() throws {
        let second = now.seconds
        #expect(
            try self.verifier.identity(payload: #"{"sub":"a","exp":\#(second + 1)}"#).expiry
                == Timestamp(milliseconds: (second + 1) * 1000)
        )
        #expect(throws: TokenError.expired) {
            try self.verifier.identity(payload: #"{"sub":"a","exp":\#(second)}"#)
        }
        let text = token(payload: #"{"sub":"a","exp":\#(second)}"#)
        #expect(throws: Never.self) {
            try self.verifier.verify(text, at: Timestamp(milliseconds: second * 1000 - 1))
        }
    }

    @Test(
        "identify the bearer of an expired token, but not of an otherwise invalid one")
    func bearerOfExpired() throws {
        let expired = token(payload: #"{"sub":"a","tenant_id":"t","exp":1}"#)
        let bearer = try self.verifier.identityIgnoringExpiry(of: expired, at: now)
        #expect(bearer.user == "a" && bearer.tenant == "t")
        #expect(throws: TokenError.expired) { try self.verifier.verify(expired, at: now) }
        let forged = token(payload: #"{"sub":"a","exp":1}"#, key: [1])
        #expect(throws: TokenError.badSignature) {
            try self.verifier.identityIgnoringExpiry(of: forged, at: now)
        }
        #expect(throws: TokenError.notYetValid) {
            try self.verifier.identityIgnoringExpiry(
                of: token(payload: #"{"sub":"a","nbf":\#(now.seconds + 1)}"#), at: now)
        }
    }

    @Test("may have fractions of a second in exp")
    func fractions() throws {
        let identity = try self.verifier.identity(payload: #"{"sub":"a","exp":\#(now.seconds).5}"#)
        #expect(identity.expiry == Timestamp(milliseconds: now.milliseconds + 500))
        #expect(
            try self.verifier.identity(payload: #"{"sub":"a","exp":4e9}"#).expiry
                == Timestamp(milliseconds: 4_000_000_000_000))
    }

    @Test("make a token valid exactly at nbf")
    func notBefore() throws {
        #expect(throws: Never.self) {
            try self.verifier.identity(payload: #"{"sub":"a","nbf":\#(now.seconds)}"#)
        }
        #expect(throws: TokenError.notYetValid) {
            try self.verifier.identity(payload: #"{"sub":"a","nbf":\#(now.seconds + 1)}"#)
        }
    }

    @Test("may be in a token as long as the rules allow")
    func tokenBytes() throws {
        let long = token(payload: #"{"sub":"a","x":"\#(String(repeating: "x", count: 9000))"}"#)
        #expect(throws: TokenError.tooLong(limitBytes: 8192)) {
            try TokenVerifier(secret: secret).verify(long, at: now)
        }
        let patient = TokenVerifier(secret: secret, rules: TokenRules(tokenBytes: 20_000))
        #expect(try patient.verify(long, at: now).user == "a")
        #expect(throws: TokenError.tooLong(limitBytes: 20)) {
            try TokenVerifier(secret: secret, rules: TokenRules(tokenBytes: 20)).verify(
                token(), at: now)
        }
    }

    @Test("are extended by the leeway on both sides, and so is the expiry")
    func leeway() throws {
        let verifier = TokenVerifier(secret: secret, rules: TokenRules(leewaySeconds: 5))
        let second = now.seconds
        #expect(
            try verifier.identity(payload: #"{"sub":"a","exp":\#(second - 4)}"#).expiry
                == Timestamp(milliseconds: (second + 1) * 1000))
        #expect(throws: TokenError.expired) {
            try verifier.identity(payload: #"{"sub":"a","exp":\#(second - 5)}"#)
        }
        #expect(throws: Never.self) {
            try verifier.identity(payload: #"{"sub":"a","nbf":\#(second + 5)}"#)
        }
        #expect(throws: TokenError.notYetValid) {
            try verifier.identity(payload: #"{"sub":"a","nbf":\#(second + 6)}"#)
        }
    }

    @Test("must contain the configured audience, as a text or in a list")
    func audience() throws {
        let verifier = TokenVerifier(secret: secret, rules: TokenRules(audience: "chat"))
        #expect(throws: Never.self) { try verifier.identity(payload: #"{"sub":"a","aud":"chat"}"#) }
        #expect(throws: Never.self) {
            try verifier.identity(payload: #"{"sub":"a","aud":["mail","chat"]}"#)
        }
        for claim in [
            #","aud":"mail""#, #","aud":[]"#, #","aud":["mail","Chat"]"#, #","aud":"chat ""#, "",
        ] {
            #expect(throws: TokenError.wrongAudience) {
                try verifier.identity(payload: #"{"sub":"a"\#(claim)}"#)
            }
        }
        #expect(throws: Never.self) {
            try self.verifier.identity(payload: #"{"sub":"a","aud":"mail"}"#)
        }
    }

    @Test("must contain the configured issuer")
    func issuer() throws {
        let verifier = TokenVerifier(
            secret: secret, rules: TokenRules(issuer: "https://id.example"))
        #expect(throws: Never.self) {
            try verifier.identity(payload: #"{"sub":"a","iss":"https://id.example"}"#)
        }
        for claim in [#","iss":"https://id.example/""#, #","iss":"""#, ""] {
            #expect(throws: TokenError.wrongIssuer) {
                try verifier.identity(payload: #"{"sub":"a"\#(claim)}"#)
            }
        }
    }

    @Test("use the last value when a name repeats")
    func repeatedNames() throws {
        #expect(try self.verifier.identity(payload: #"{"sub":"a","sub":"b"}"#).user == "b")
        #expect(throws: TokenError.expired) {
            try self.verifier.identity(payload: #"{"sub":"a","exp":4000000000,"exp":1}"#)
        }
    }

    @Test("distinguish users whose names look the same")
    func bytewiseNames() throws {
        let composed = try self.verifier.identity(payload: #"{"sub":"\u00e9"}"#)
        let decomposed = try self.verifier.identity(payload: #"{"sub":"e\u0301"}"#)
        #expect(composed.user != decomposed.user)
    }
}
