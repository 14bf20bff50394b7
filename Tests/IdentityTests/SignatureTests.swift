import Bytes
import Testing

@testable import Identity

@Suite("A signature")
struct SignatureTests {
    private func publicKey(_ text: String) throws -> VerificationKey {
        VerificationKey(publicKey: try PublicKey.all(pem: Array(text.utf8))[0])
    }

    private func bytes(_ text: String) -> [UInt8] {
        Base64URL.decode(text.utf8)!
    }

    /// The tokens of RFC 7515 expire in 2011 and name no user. The error for the missing `sub`
    /// shows that the signature was accepted.
    private func expectSignatureAccepted(_ token: String, by key: VerificationKey) {
        let error = #expect(throws: TokenError.self) {
            try TokenVerifier(keys: [key], rules: TokenRules()).verify(
                token, at: Timestamp(milliseconds: 0))
        }
        guard case .badClaim(name: "sub", mustBe: _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("of the HS256 example in RFC 7515 is valid")
    func standardHS256() {
        self.expectSignatureAccepted(
            StandardVectors.hs256Token,
            by: VerificationKey(secret: self.bytes(StandardVectors.hs256Key)))
    }

    @Test("of the RS256 example in RFC 7515 is valid")
    func standardRS256() throws {
        let key = try PublicKey(
            rsaModulus: self.bytes(StandardVectors.rs256Modulus), exponent: [1, 0, 1])
        self.expectSignatureAccepted(
            StandardVectors.rs256Token, by: VerificationKey(publicKey: key))
    }

    @Test("of the ES256 example in RFC 7515 is valid")
    func standardES256() throws {
        let key = try PublicKey(
            p256X: self.bytes(StandardVectors.es256X), y: self.bytes(StandardVectors.es256Y))
        self.expectSignatureAccepted(
            StandardVectors.es256Token, by: VerificationKey(publicKey: key))
    }

    @Test("of the Ed25519 example in RFC 8037 is valid, although its payload is not JSON")
    func standardEdDSA() throws {
        let key = VerificationKey(
            publicKey: try PublicKey(ed25519: self.bytes(StandardVectors.edDSAKey)))
        #expect(throws: TokenError.malformed(.payload)) {
            try TokenVerifier(keys: [key], rules: TokenRules()).verify(
                StandardVectors.edDSAToken, at: now)
        }
    }

    @Test("with a secret longer than a hash block is the one of RFC 4231")
    func longSecret() {
        let key = HMACKey([UInt8](repeating: 0xAA, count: 131))
        let text = Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
        let signature = text.withUnsafeBytes { key.sign($0) }
        #expect(
            Hex.encode(signature)
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test(
        "of another library is valid, for each type of key",
        arguments: [
            (Vectors.rsaPEM, Vectors.rs256Token), (Vectors.rsaPKCS1PEM, Vectors.rs256Token),
            (Vectors.p256PEM, Vectors.es256Token),
            (Vectors.p256CertificatePEM, Vectors.es256Token),
            (Vectors.ed25519PEM, Vectors.edDSAToken),
        ])
    func otherLibrary(pem: String, token: String) throws {
        let verifier = TokenVerifier(keys: [try self.publicKey(pem)], rules: TokenRules())
        let identity = try verifier.verify(token, at: now)
        #expect(identity.user == "alice")
        #expect(identity.expiry == Timestamp(milliseconds: 4_102_444_800_000))
    }

    @Test(
        "is rejected when any single bit is flipped",
        arguments: [Vectors.rs256Token, Vectors.es256Token, Vectors.edDSAToken])
    func flippedBits(token: String) throws {
        let keys = try [Vectors.rsaPEM, Vectors.p256PEM, Vectors.ed25519PEM].map {
            try self.publicKey($0)
        }
        let parts = token.split(separator: ".")
        let message = Array((parts[0] + "." + parts[1]).utf8)
        let key = try #require(
            keys.first { key in
                message.withUnsafeBytes { key.isValid(self.bytes(String(parts[2])), of: $0) }
            })
        for bit in 0..<self.bytes(String(parts[2])).count * 8 {
            var signature = self.bytes(String(parts[2]))
            signature[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!message.withUnsafeBytes { key.isValid(signature, of: $0) }, "bit \(bit)")
        }
    }

    @Test("is rejected in ES256 as ASN.1, as zeros, and with a wrong length")
    func es256Shapes() throws {
        let key = try self.publicKey(Vectors.p256PEM)
        #expect(throws: TokenError.badSignature) {
            try TokenVerifier(keys: [key], rules: TokenRules()).verify(
                Vectors.es256TokenWithDERSignature, at: now)
        }
        let message = Array("message".utf8)
        for count in [0, 1, 32, 63, 64, 65, 72] {
            let zeros = [UInt8](repeating: 0, count: count)
            #expect(!message.withUnsafeBytes { key.isValid(zeros, of: $0) }, "\(count) zeros")
        }
    }

    @Test("is rejected in RS256 if it is an RSA-PSS signature")
    func pss() throws {
        #expect(throws: TokenError.badSignature) {
            try TokenVerifier(keys: [try self.publicKey(Vectors.rsaPEM)], rules: TokenRules())
                .verify(
                    Vectors.rs256TokenWithPSSSignature, at: now)
        }
    }

    @Test("of HS256 with a public key as the secret matches no key")
    func algorithmConfusion() throws {
        for pem in [Vectors.rsaPEM, Vectors.p256PEM, Vectors.ed25519PEM] {
            let verifier = TokenVerifier(keys: [try self.publicKey(pem)], rules: TokenRules())
            for key in [pem, pem + "\n"] {
                #expect(throws: TokenError.noKey) {
                    try verifier.verify(token(key: Array(key.utf8)), at: now)
                }
            }
        }
    }

    @Test("of a signer is accepted by a verifier, with all claims")
    func signer() throws {
        let claims = Claims(
            subject: "alice", username: "Alïce \"A\"", tenant: "acme", agent: "a1",
            grants: .listed(["42", "general"]), isAdmin: true,
            expiry: Timestamp(milliseconds: now.milliseconds + 1000), notBefore: now,
            audience: ["chat"], issuer: "https://id.example")
        let text = try TokenSigner(secret: secret).sign(claims)
        let verifier = TokenVerifier(
            secret: secret, rules: TokenRules(audience: "chat", issuer: "https://id.example"))
        let identity = try verifier.verify(text, at: now)
        #expect(
            identity
                == Identity(
                    user: "alice", displayName: "Alïce \"A\"", tenant: "acme", agent: "a1",
                    grants: .listed(["42", "general"]),
                    isAdmin: true,
                    expiry: Timestamp(milliseconds: now.milliseconds + 1000)))
        #expect(
            try TokenVerifier(secret: secret).verify(
                try TokenSigner(secret: secret).sign(Claims(subject: "b", grants: .all)), at: now
            )
            .grants == .all)
    }

    @Test("is not created for claims that a verifier would reject")
    func signerRefusals() {
        let signer = TokenSigner(secret: secret)
        for claims in [
            Claims(subject: ""), Claims(subject: "a", username: "\n"),
            Claims(subject: "a", tenant: "a b"),
            Claims(subject: "a", grants: .listed(["a/b"])),
        ] {
            #expect(throws: TokenError.self) { try signer.sign(claims) }
        }
        let many = Claims(
            subject: "a", grants: .listed(Set((0..<1500).map { ByteString("room-\($0)") })))
        #expect(throws: TokenError.tooLong(limitBytes: 8192)) { try signer.sign(many) }
    }
}
