import Bytes
import SeededRandom
import Testing

@testable import Identity

/// A token and the reason for its rejection.
struct RejectedToken: Sendable, CustomTestStringConvertible {
    let name: String
    let token: String
    let error: TokenError

    init(_ name: String, _ token: String, _ error: TokenError) {
        self.name = name
        self.token = token
        self.error = error
    }

    var testDescription: String { self.name }

    static func header(_ header: String, _ error: TokenError) -> RejectedToken {
        RejectedToken(header, signed(header: header), error)
    }

    static func claims(_ payload: String, _ error: TokenError) -> RejectedToken {
        RejectedToken(payload, signed(payload: payload), error)
    }

    static func claim(_ name: String, _ payload: String, mustBe rule: String) -> RejectedToken {
        .claims(payload, .badClaim(name: name, mustBe: rule))
    }
}

private func signed(header: String = #"{"alg":"HS256"}"#, payload: String = #"{"sub":"alice"}"#)
    -> String
{
    token(header: header, payload: payload)
}

@Suite("A token is rejected")
struct TokenRejectionTests {
    private static let good = token()
    private static let goodParts = Self.good.split(separator: ".").map(String.init)
    private static let name = IdentityRule.name.text
    private static let grant =
        "\"*\", an id or a list of ids, each of 1 to 128 characters of A-Z a-z 0-9 . _ : -"
    private static let numericDate = "a number of seconds since 1970, before the year 10000"

    static let headers: [RejectedToken] = [
        .header(#"{"alg":"none"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"None"}"#, .algorithmNotAccepted),
        .header(#"{"alg":""}"#, .algorithmNotAccepted),
        .header(#"{"alg":"HS384"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"HS512"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"RS512"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"PS256"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"ES256K"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"hs256"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"HS256\u0000"}"#, .algorithmNotAccepted),
        .header(#"{"alg":["HS256"]}"#, .algorithmNotAccepted),
        .header(#"{"alg":null}"#, .algorithmNotAccepted),
        .header(#"{"typ":"JWT"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"HS256","alg":"none"}"#, .algorithmNotAccepted),
        .header(#"{"alg":"RS256"}"#, .noKey),
        .header(#"{"alg":"ES256"}"#, .noKey),
        .header(#"{"alg":"EdDSA"}"#, .noKey),
        .header(#"{"alg":"HS256","crit":["b64"],"b64":false}"#, .headerNotAccepted(name: "crit")),
        .header(#"{"alg":"HS256","crit":["exp"]}"#, .headerNotAccepted(name: "crit")),
        .header(#"{"alg":"HS256","crit":[]}"#, .headerNotAccepted(name: "crit")),
        .header(#"{"alg":"HS256","cri\u0074":["exp"]}"#, .headerNotAccepted(name: "crit")),
        .header(
            #"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#, .headerNotAccepted(name: "jwk")),
        .header(
            #"{"alg":"HS256","jku":"https://evil.example/keys"}"#, .headerNotAccepted(name: "jku")),
        .header(#"{"alg":"HS256","x5c":[]}"#, .headerNotAccepted(name: "x5c")),
        .header(
            #"{"alg":"HS256","x5u":"https://evil.example/cert"}"#, .headerNotAccepted(name: "x5u")),
        .header(#"{"alg":"HS256","kid":1}"#, .headerNotAccepted(name: "kid")),
        .header(#"["alg","HS256"]"#, .malformed(.header)),
        .header(#"{"alg":"HS256"}}"#, .malformed(.header)),
        .header(#"{"alg":"HS256",}"#, .malformed(.header)),
        .header("", .malformed(.header)),
        .header("\u{FEFF}{\"alg\":\"HS256\"}", .malformed(.header)),
    ]

    static let claims: [RejectedToken] = [
        .claim("sub", "{}", mustBe: "there: the user's id, \(Self.name)"),
        .claim("sub", #"{"sub":1}"#, mustBe: "a string"),
        .claim("sub", #"{"sub":null}"#, mustBe: "there: the user's id, \(Self.name)"),
        .claim("sub", #"{"sub":""}"#, mustBe: Self.name),
        .claim("sub", #"{"sub":"a\u0000"}"#, mustBe: Self.name),
        .claim("sub", #"{"sub":"a\nb"}"#, mustBe: Self.name),
        .claim("sub", #"{"sub":"\u007f"}"#, mustBe: Self.name),
        .claim("sub", #"{"sub":"\u0085"}"#, mustBe: Self.name),
        .claim("sub", #"{"sub":"\#(String(repeating: "a", count: 129))"}"#, mustBe: Self.name),
        .claim("username", #"{"sub":"a","username":"\u001b[2J"}"#, mustBe: Self.name),
        .claim("username", #"{"sub":"a","username":7}"#, mustBe: "a string"),
        .claim("username", #"{"sub":"a","username":""}"#, mustBe: Self.name),
        .claim("name", #"{"sub":"a","name":"\t"}"#, mustBe: Self.name),
        .claim("sub", #"{"sub":"\u3164"}"#, mustBe: Self.name),
        .claim("username", #"{"sub":"a","username":" "}"#, mustBe: Self.name),
        .claim("username", #"{"sub":"a","username":"\u200b"}"#, mustBe: Self.name),
        .claim("name", #"{"sub":"a","name":"x\u202ey"}"#, mustBe: Self.name),
        .claim("agent_id", #"{"sub":"a","agent_id":"\u2066a"}"#, mustBe: Self.name),
        .claim("name", #"{"sub":"a","name":["N"]}"#, mustBe: "a string"),
        .claim("tenant_id", #"{"sub":"a","tenant_id":""}"#, mustBe: IdentityRule.tenant.text),
        .claim("tenant_id", #"{"sub":"a","tenant_id":"a:b"}"#, mustBe: IdentityRule.tenant.text),
        .claim("tenant_id", #"{"sub":"a","tenant_id":"a/b"}"#, mustBe: IdentityRule.tenant.text),
        .claim("tenant_id", #"{"sub":"a","tenant_id":"é"}"#, mustBe: IdentityRule.tenant.text),
        .claim(
            "tenant_id", #"{"sub":"a","tenant_id":"\#(String(repeating: "a", count: 65))"}"#,
            mustBe: IdentityRule.tenant.text),
        .claim("agent_id", #"{"sub":"a","agent_id":"\r"}"#, mustBe: Self.name),
        .claim("agent_id", #"{"sub":"a","agent_id":true}"#, mustBe: "a string"),
        .claim("conversations", #"{"sub":"a","conversations":true}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":[null]}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":{}}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":1.5}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":[["a"]]}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":["a",1e3]}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":[""]}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":["a b"]}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":"**"}"#, mustBe: Self.grant),
        .claim("conversations", #"{"sub":"a","conversations":["*","a/b"]}"#, mustBe: Self.grant),
        .claim(
            "channel_id", #"{"sub":"a","channel_id":"\#(String(repeating: "c", count: 129))"}"#,
            mustBe: Self.grant),
        .claim("admin", #"{"sub":"a","admin":"true"}"#, mustBe: "true or false"),
        .claim("admin", #"{"sub":"a","admin":1}"#, mustBe: "true or false"),
        .claim("exp", #"{"sub":"a","exp":"4000000000"}"#, mustBe: Self.numericDate),
        .claim("exp", #"{"sub":"a","exp":-1}"#, mustBe: Self.numericDate),
        .claim("exp", #"{"sub":"a","exp":1e400}"#, mustBe: Self.numericDate),
        .claim("exp", #"{"sub":"a","exp":1769860801000}"#, mustBe: Self.numericDate),
        .claim("nbf", #"{"sub":"a","nbf":true}"#, mustBe: Self.numericDate),
        .claim("aud", #"{"sub":"a","aud":1}"#, mustBe: "a string or a list of strings"),
        .claim("aud", #"{"sub":"a","aud":["a",1]}"#, mustBe: "a string or a list of strings"),
        .claim("iss", #"{"sub":"a","iss":["a"]}"#, mustBe: "a string"),
        .claims(#"{"sub":"a","exp":0}"#, .expired),
        .claims(#"["sub"]"#, .malformed(.payload)),
        .claims(#""alice""#, .malformed(.payload)),
        .claims(#"{"sub":"\ud800"}"#, .malformed(.payload)),
        .claims(String(repeating: "[", count: 40), .malformed(.payload)),
        .claims("", .malformed(.payload)),
        RejectedToken(
            "a compressed payload",
            signed(header: #"{"alg":"HS256","zip":"DEF"}"#, payload: "\u{1}V*.MR"), .compressed),
    ]

    static let shapes: [RejectedToken] = [
        RejectedToken("empty", "", .malformed(.parts)),
        RejectedToken("one dot", "a.b", .malformed(.parts)),
        RejectedToken("three dots", Self.good + ".", .malformed(.parts)),
        RejectedToken("five parts, as encrypted tokens have", "a.b.c.d.e", .malformed(.parts)),
        RejectedToken("only dots", "..", .malformed(.header)),
        RejectedToken(
            "no signature", Self.goodParts[0] + "." + Self.goodParts[1] + ".", .badSignature),
        RejectedToken("half a signature", String(Self.good.dropLast(22)), .malformed(.signature)),
        RejectedToken("a padded signature", Self.good + "=", .malformed(.signature)),
        RejectedToken(
            "a padded header",
            Self.goodParts[0] + "=." + Self.goodParts[1] + "." + Self.goodParts[2],
            .malformed(.header)),
        RejectedToken("a space in front", " " + Self.good, .surroundedByBlanks),
        RejectedToken("a newline behind", Self.good + "\n", .surroundedByBlanks),
        RejectedToken("a Windows line break behind", Self.good + "\r\n", .surroundedByBlanks),
        RejectedToken("a tab in front", "\t" + Self.good, .surroundedByBlanks),
        RejectedToken("a newline alone", "\n", .surroundedByBlanks),
        RejectedToken("the scheme in front", "Bearer " + Self.good, .malformed(.header)),
        RejectedToken(
            "base64 with the other alphabet", Self.goodParts[0] + "." + Self.goodParts[1] + ".++//",
            .malformed(.signature)),
        RejectedToken("another secret", token(key: secret.reversed()), .badSignature),
        RejectedToken("a shorter secret", token(key: Array(secret.dropLast())), .badSignature),
        RejectedToken(
            "another payload",
            Self.goodParts[0] + "." + Base64URL.encode(Array(#"{"sub":"bob"}"#.utf8)) + "."
                + Self.goodParts[2],
            .badSignature),
        RejectedToken("too long", String(repeating: "a", count: 8193), .tooLong(limitBytes: 8192)),
        RejectedToken(
            "as long as allowed, but nothing", String(repeating: "a", count: 8192),
            .malformed(.parts)),
    ]

    @Test("for its header", arguments: Self.headers)
    func header(token refusal: RejectedToken) {
        #expect(throws: refusal.error) {
            try TokenVerifier(secret: secret).verify(refusal.token, at: now)
        }
    }

    @Test("for a claim, although the signature is valid", arguments: Self.claims)
    func claim(token refusal: RejectedToken) {
        #expect(throws: refusal.error) {
            try TokenVerifier(secret: secret).verify(refusal.token, at: now)
        }
    }

    @Test("for its format or its signature", arguments: Self.shapes)
    func shape(token refusal: RejectedToken) {
        #expect(throws: refusal.error) {
            try TokenVerifier(secret: secret).verify(refusal.token, at: now)
        }
    }

    @Test("not for a header with \"zip\" if its payload is plain")
    func uncompressed() {
        #expect(throws: Never.self) {
            try TokenVerifier(secret: secret).verify(
                token(header: #"{"alg":"HS256","zip":"none"}"#), at: now)
        }
    }

    @Test("with a sentence that tells what its sender cannot see")
    func invisibleReasons() {
        #expect(
            TokenError.surroundedByBlanks.description
                == "The token begins or ends with a line break or a blank; remove it.")
        #expect(TokenError.compressed.description.contains("is compressed (\"zip\")"))
    }

    @Test("with a message that contains nothing of it")
    func errorTexts() {
        let marker = "XYZZY"
        let header = #"{"alg":"HS256","\#(marker)":1,"kid":"\#(marker)"}"#
        for payload in [
            #"{"sub":"\#(marker)\n"}"#, #"{"sub":"a","tenant_id":"\#(marker)/"}"#,
            #"{"sub":"a","exp":"\#(marker)"}"#, #"{"\#(marker)":1}"#,
            #"{"sub":"a","conversations":["\#(marker)/"]}"#, #"{"sub":"a","aud":"\#(marker)"}"#,
            #"{"sub":"a","iss":"\#(marker)"}"#, marker,
        ] {
            let rules = TokenRules(audience: "chat", issuer: "issuer")
            let error = #expect(throws: TokenError.self) {
                try TokenVerifier(secret: secret, rules: rules).verify(
                    token(header: header, payload: payload), at: now)
            }
            let sentence = error?.description ?? marker
            #expect(
                !sentence.contains(marker) && sentence.first?.isUppercase == true
                    && sentence.last == ".", "\(sentence)")
        }
    }

    @Test("when it is truncated anywhere")
    func truncation() {
        let bytes = Array(Self.good.utf8)
        for count in 0..<bytes.count {
            #expect(throws: TokenError.self) {
                try TokenVerifier(secret: secret).verify(bytes: Array(bytes[..<count]))
            }
        }
    }

    @Test("when any byte is changed", arguments: [UInt64(1), 2])
    func changedBytes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let keys =
            [VerificationKey(secret: secret)]
            + (try [Vectors.rsaPEM, Vectors.p256PEM, Vectors.ed25519PEM].map {
                VerificationKey(publicKey: try PublicKey.all(pem: Array($0.utf8))[0])
            })
        let verifier = TokenVerifier(keys: keys, rules: TokenRules())
        for text in [Self.good, Vectors.rs256Token, Vectors.es256Token, Vectors.edDSAToken] {
            let bytes = Array(text.utf8)
            #expect(throws: Never.self) { try verifier.verify(bytes: bytes) }
            for index in bytes.indices {
                var changed = bytes
                repeat {
                    changed[index] = UInt8.random(in: 0...255, using: &random)
                } while changed[index] == bytes[index]
                #expect(throws: TokenError.self, "byte \(index) is \(changed[index])") {
                    try verifier.verify(bytes: changed)
                }
            }
        }
    }

    @Test("when random bytes are inserted, removed or moved")
    func shuffledBytes() {
        var random = SeededGenerator(seed: 20_260_131)
        let verifier = TokenVerifier(secret: secret)
        let bytes = Array(
            token(payload: #"{"sub":"alice","conversations":["a","b"],"exp":4000000000}"#).utf8)
        let characters = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/".utf8)
        for _ in 0..<5000 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<changed.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: changed.insert(characters.randomElement(using: &random)!, at: index)
                case 1: changed.remove(at: index)
                default: changed.swapAt(index, Int.random(in: 0..<changed.count, using: &random))
                }
            }
            guard changed != bytes else { continue }
            #expect(throws: TokenError.self) { try verifier.verify(bytes: changed) }
        }
    }
}
