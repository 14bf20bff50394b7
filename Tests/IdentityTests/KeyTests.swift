import Bytes
import Foundation
import TestKit
import Testing

@testable import Identity

@Suite("Key files")
struct KeyTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func load(pem: String) throws -> TokenVerifier {
        try KeyFiles(publicKeys: [try self.folder.write(pem, to: "key.pem")]).load()
    }

    private func load(keySet: String) throws -> TokenVerifier {
        try KeyFiles(keySet: try self.folder.write(keySet, to: "keys.json")).load()
    }

    /// The algorithms of a key set with these entries, or the error text if it cannot be used.
    private func outcome(keys entries: String...) throws -> String {
        do throws(KeyError) {
            let path = try! self.folder.write(
                #"{"keys":[\#(entries.joined(separator: ","))]}"#, to: "keys.json")
            return try "\(KeyFiles(keySet: path).load().keys.map(\.algorithm.rawValue))"
        } catch {
            return error.description.replacing(self.folder.path + "/", with: "")
        }
    }

    private static let oct = #"{"kty":"oct","kid":"s","k":"\#(Base64URL.encode(secret))"}"#
    private static let rsa = "{\(Vectors.rsaNumbers),\"kid\":\"r\"}"
    private static let p256 = "{\(Vectors.p256Numbers),\"kid\":\"e\"}"
    private static let ed25519 = "{\(Vectors.ed25519Numbers),\"kid\":\"o\"}"

    // MARK: PEM

    @Test("may hold several PEM keys, with text around them")
    func severalKeys() throws {
        let verifier = try self.load(
            pem:
                """
                first:\n\(Vectors.rsaPEM)\nsecond:\n\(Vectors.p256PEM)\n\(Vectors.ed25519PEM)\n\
                that is all\n
                """
        )
        #expect(verifier.keys.map(\.algorithm) == [.rs256, .es256, .edDSA])
        for token in [Vectors.rs256Token, Vectors.es256Token, Vectors.edDSAToken] {
            #expect(try verifier.verify(token, at: now).user == "alice")
        }
    }

    private static let badPEMs: [(String, String)] = [
        (Vectors.rsa1024PEM, "it is an RSA key of 1024 bits; at least 2048 are required."),
        (Vectors.p384PEM, "it is an elliptic-curve key that is not on P-256."),
        (Vectors.secp256k1PEM, "it is an elliptic-curve key that is not on P-256."),
        (Vectors.ed448PEM, "it is neither an RSA, a P-256 nor an Ed25519 key."),
        (Vectors.p256PrivatePEM, "it contains a private key; give the public key."),
        (
            "\(Vectors.p256PEM)\n\(Vectors.p256PrivatePEM)",
            "it contains a private key; give the public key."
        ),
        (String(Vectors.p256PEM.dropLast(10)), "it contains a damaged PEM block."),
        ("\(Vectors.p256PEM)\n\(Vectors.rsaPEM.dropLast(10))", "it contains a damaged PEM block."),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "it contains a damaged PEM block."
        ),
        (
            "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n",
            "it contains a PEM block that is not a public key."
        ),
        ("nothing here", "it contains no PEM public key."),
        ("", "it contains no PEM public key."),
    ]

    @Test(
        "are rejected if a PEM key is weak, of another type, private or damaged",
        arguments: Self.badPEMs)
    func badPEM(pem: String, end: String) throws {
        let error = #expect(throws: KeyError.self) { try self.load(pem: pem) }
        #expect(error?.description == "\(self.folder.path)/key.pem cannot be used: \(end)")
    }

    // MARK: Key sets

    @Test("may be a key set with one key of each type")
    func keySet() throws {
        let verifier = try self.load(
            keySet: #"{"keys":[\#(Self.oct),\#(Self.rsa),\#(Self.p256),\#(Self.ed25519)]}"#)
        #expect(verifier.keys.map(\.algorithm) == [.hs256, .rs256, .es256, .edDSA])
        for token in [token(), Vectors.rs256Token, Vectors.es256Token, Vectors.edDSAToken] {
            #expect(try verifier.verify(token, at: now).user == "alice")
        }
    }

    @Test("select for a token with a kid only the key with that id or keys without an id")
    func keyIDs() throws {
        let other = Array(secret.reversed())
        let two =
            #"{"keys":[\#(Self.oct),{"kty":"oct","kid":"t","k":"\#(Base64URL.encode(other))"}]}"#
        let verifier = try self.load(keySet: two)
        func outcome(kid: String, key: [UInt8]) -> TokenError? {
            do throws(TokenError) {
                _ = try verifier.verify(
                    token(header: #"{"alg":"HS256"\#(kid)}"#, key: key), at: now)
                return nil
            } catch {
                return error
            }
        }
        #expect(outcome(kid: #","kid":"s""#, key: secret) == nil)
        #expect(outcome(kid: #","kid":"t""#, key: other) == nil)
        #expect(outcome(kid: #","kid":"t""#, key: secret) == .badSignature)
        #expect(outcome(kid: #","kid":"u""#, key: secret) == .noKey)
        #expect(outcome(kid: #","kid":"""#, key: secret) == .noKey)
        #expect(outcome(kid: "", key: secret) == nil)
        #expect(outcome(kid: "", key: other) == nil)
        #expect(throws: Never.self) {
            try TokenVerifier(secret: secret).verify(
                token(header: #"{"alg":"HS256","kid":"s"}"#), at: now)
        }
    }

    @Test("may contain keys for other purposes, which are ignored")
    func otherPurposes() throws {
        #expect(
            try self.outcome(keys: Self.oct, #"{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}"#)
                == #"["HS256"]"#)
        #expect(
            try self.outcome(keys: Self.oct, #"{"kty":"OKP","crv":"X25519","x":"AA"}"#)
                == #"["HS256"]"#)
        #expect(
            try self.outcome(keys: Self.oct, #"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#)
                == #"["HS256"]"#)
        #expect(
            try self.outcome(keys: Self.oct, "{\(Vectors.rsaNumbers),\"use\":\"enc\"}")
                == #"["HS256"]"#)
        #expect(
            try self.outcome(keys: Self.oct, "{\(Vectors.rsaNumbers),\"alg\":\"RS512\"}")
                == #"["HS256"]"#)
        #expect(
            try self.outcome(keys: Self.oct, "{\(Vectors.rsaNumbers),\"alg\":\"HS256\"}")
                == #"["HS256"]"#)
        #expect(
            try self.outcome(keys: Self.oct, "{\(Vectors.rsaNumbers),\"key_ops\":[\"encrypt\"]}")
                == #"["HS256"]"#)
        let purpose = #""use":"sig","alg":"RS256","key_ops":["verify"]"#
        #expect(try self.outcome(keys: "{\(Vectors.rsaNumbers),\(purpose)}") == #"["RS256"]"#)
    }

    @Test("accept the algorithm Ed25519, which is EdDSA with this curve, in keys and tokens")
    func ed25519Algorithm() throws {
        let x = "S_oXNypLRTS0WHRA40vb9nQH943egmUl__RCcrbUA0w"
        for algorithm in ["Ed25519", "EdDSA"] {
            let key = #"{"kty":"OKP","crv":"Ed25519","kid":"o2","alg":"\#(algorithm)","x":"\#(x)"}"#
            let verifier = try self.load(keySet: #"{"keys":[\#(key)]}"#)
            #expect(try verifier.verify(Vectors.ed25519Token, at: now).user == "alice")
        }
        #expect(throws: TokenError.noKey) {
            try TokenVerifier(secret: secret).verify(Vectors.ed25519Token, at: now)
        }
    }

    @Test("skip an odd key of a set with a warning that names its kid, and load the others")
    func skippedKeys() throws {
        let odd = "{\(Vectors.rsaNumbers),\"kid\":\"odd\\n\",\"key_ops\":null}"
        let path = try self.folder.write(
            #"{"keys":[{\#(Vectors.rsa1024Numbers),"kid":"weak"},\#(odd),\#(Self.p256)]}"#,
            to: "keys.json")
        let files = KeyFiles(keySet: path)
        #expect(try files.load().keys.map(\.algorithm) == [.es256])
        #expect(try files.load().verify(Vectors.es256Token, at: now).user == "alice")
        #expect(
            files.skippedKeys == [
                "Key 1 of \(path), \"weak\", cannot be used: "
                    + "it is an RSA key of 1024 bits; at least 2048 are required.",
                "Key 2 of \(path), \"odd\\n\", cannot be used: "
                    + "it has a \"key_ops\" that is not a list.",
            ])
        #expect(
            try self.outcome(keys: "{\(Vectors.rsa1024Numbers),\"kid\":\"weak\"}")
                == "Key 1 of keys.json, \"weak\", cannot be used: "
                + "it is an RSA key of 1024 bits; at least 2048 are required.")
    }

    @Test("skip an invalid key of a set with its number")
    func brokenKeys() throws {
        let sentence = "Key 2 of \(self.folder.path)/keys.json cannot be used: it "
        func second(_ key: String) throws -> String {
            #expect(try self.outcome(keys: Self.oct, key) == #"["HS256"]"#)
            let text = KeyFiles(keySet: "\(self.folder.path)/keys.json").skippedKeys.joined()
            return text.hasPrefix(sentence) ? String(text.dropFirst(sentence.count)) : text
        }
        #expect(
            try second("{\(Vectors.rsa1024Numbers)}")
                == "is an RSA key of 1024 bits; at least 2048 are required.")
        #expect(
            try second("{\(Vectors.rsaNumbers.replacing("AQAB", with: "AQ"))}")
                == "is not a valid public key.")
        #expect(
            try second("{\(Vectors.rsaNumbers.replacing("AQAB", with: "Ag"))}")
                == "is not a valid public key.")
        #expect(
            try second("{\(Vectors.rsaNumbers.replacing("AQAB", with: "AQAB="))}")
                == "has a \"e\" that is not base64url.")
        #expect(
            try second("{\(Vectors.rsaNumbers),\"d\":\"AQAB\"}")
                == "contains a private key; give the public key.")
        #expect(
            try second(#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#)
                == "must have 32 bytes in each of \"x\" and \"y\".")
        let offCurve = Base64URL.encode([UInt8](repeating: 1, count: 32))
        #expect(
            try second(#"{"kty":"EC","crv":"P-256","x":"\#(offCurve)","y":"\#(offCurve)"}"#)
                == "has a point that is not on P-256.")
        #expect(
            try second(#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#) == "must have 32 bytes in \"x\"."
        )
        #expect(
            try second(#"{"kty":"oct","k":"AAAA"}"#)
                == "is a secret of 3 bytes; at least 32 are required.")
        #expect(try second(#"{"kty":"oct"}"#) == "has no \"k\".")
        #expect(try second(#"{"kty":"oct","k":7}"#) == "has a \"k\" that is not a string.")
        #expect(try second(#"{"k":"AAAA"}"#) == "has no \"kty\".")
        #expect(try second("7") == "is not a JSON object.")
    }

    @Test("are rejected if the key set is malformed or empty")
    func noSet() throws {
        func reason(_ text: String) -> String? {
            #expect(throws: KeyError.self) { try self.load(keySet: text) }?.description.replacing(
                "\(self.folder.path)/keys.json cannot be used: it ", with: "")
        }
        let noList = "is not a JSON Web Key set: it has no list \"keys\"."
        #expect(reason("{") == "is not valid JSON (error at byte 1).")
        #expect(reason("[]") == noList)
        #expect(reason(#"{"keys":{}}"#) == noList)
        #expect(reason(#"{"keys":[]}"#) == "has no key for HS256, RS256, ES256 or EdDSA.")
    }

    // MARK: Secrets

    @Test("contain the secret, without one newline at the end")
    func newline() throws {
        let text = String(decoding: secret, as: UTF8.self)
        for (ending, expected) in [("", ""), ("\n", ""), ("\r\n", ""), ("\n\n", "\n"), (" ", " ")] {
            let file = SecretFile(path: try self.folder.write(text + ending, to: "secret"))
            #expect(try file.read() == Array((text + expected).utf8))
        }
        let bytes = (0..<40).map { UInt8(255 - $0) }
        #expect(try SecretFile(path: try self.folder.write(bytes, to: "secret")).read() == bytes)
    }

    @Test("are rejected if the secret is short, missing, a folder, too large or a PEM key")
    func badSecrets() throws {
        func error(_ path: String) -> KeyError? {
            #expect(throws: KeyError.self) { try SecretFile(path: path).read() }
        }
        let short = try self.folder.write(String(repeating: "a", count: 31) + "\n", to: "short")
        #expect(error(short) == .secretTooShort(path: short, bytes: 31))
        #expect(error(short)?.description.contains("at least 32") == true)
        #expect(
            error(self.folder.path + "/none")
                == .file(path: self.folder.path + "/none", reason: "No such file or directory"))
        #expect(error(self.folder.path) == .file(path: self.folder.path, reason: "Is a directory"))
        let pem = try self.folder.write(Vectors.rsaPEM, to: "pem")
        #expect(error(pem) == .secretIsPEM(path: pem))
        let large = try self.folder.write([UInt8](repeating: 97, count: 1 << 20 + 1), to: "large")
        #expect(error(large) == .unusable(path: large, reason: "is larger than 1048576 bytes"))
    }

    @Test("get a secret at the first start, readable only by the owner, and keep it")
    func creation() throws {
        let file = SecretFile(path: self.folder.path + "/made")
        let (made, isNew) = try file.readOrCreate()
        #expect(isNew)
        #expect(made.count == 64)
        let mode =
            try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let (again, isNewAgain) = try file.readOrCreate()
        #expect(again == made && !isNewAgain)
        #expect(try FileManager.default.contentsOfDirectory(atPath: self.folder.path) == ["made"])
        #expect(try SecretFile(path: self.folder.path + "/another").readOrCreate().secret != made)
    }

    @Test("get no secret if the folder does not exist")
    func noCreation() {
        let path = self.folder.path + "/no/such/folder"
        #expect(throws: KeyError.self) { try SecretFile(path: path).readOrCreate() }
    }

    @Test("never replace a secret that another process has created")
    func race() throws {
        let path = try self.folder.write(secret, to: "secret")
        #expect(try !NewSecretFile.create(path, Array("other".utf8)))
        #expect(try SecretFile(path: path).read() == secret)
        #expect(try FileManager.default.contentsOfDirectory(atPath: self.folder.path) == ["secret"])
    }

    // MARK: All together

    @Test("are all loaded, or none if one file is invalid")
    func together() throws {
        var files = KeyFiles(secret: SecretFile(path: try self.folder.write(secret, to: "secret")))
        files.publicKeys = [
            try self.folder.write(Vectors.rsaPEM, to: "a.pem"),
            try self.folder.write(Vectors.p256PEM, to: "b.pem"),
        ]
        files.keySet = try self.folder.write(#"{"keys":[\#(Self.ed25519)]}"#, to: "keys.json")
        let verifier = try files.load(TokenRules(leewaySeconds: 1))
        #expect(verifier.keys.map(\.algorithm) == [.hs256, .rs256, .es256, .edDSA])
        files.publicKeys.append(self.folder.path + "/missing.pem")
        #expect(throws: KeyError.self) { try files.load() }
        #expect(throws: KeyError.noKeys) { try KeyFiles().load() }
    }

    @Test("are rejected if there are too many keys")
    func manyKeys() throws {
        let path = try self.folder.write(
            String(repeating: Vectors.ed25519PEM + "\n", count: 33), to: "many.pem")
        #expect(throws: KeyError.tooManyKeys(limit: 32)) { try KeyFiles(publicKeys: [path]).load() }
    }

    @Test("have a fingerprint that changes with the key set")
    func fingerprint() throws {
        var files = KeyFiles()
        #expect(files.keySetFingerprint == nil)
        files.keySet = self.folder.path + "/keys.json"
        #expect(files.keySetFingerprint == nil)
        _ = try self.folder.write("{}", to: "keys.json")
        let first = files.keySetFingerprint
        #expect(first != nil && first == files.keySetFingerprint)
        _ = try self.folder.write("{ }", to: "keys.json")
        #expect(files.keySetFingerprint != first)
        // A renamed file of the same size has another inode.
        let second = files.keySetFingerprint
        let other = try self.folder.write("[ ]", to: "other.json")
        try FileManager.default.removeItem(atPath: files.keySet!)
        try FileManager.default.moveItem(atPath: other, toPath: files.keySet!)
        #expect(files.keySetFingerprint != second)
    }
}
