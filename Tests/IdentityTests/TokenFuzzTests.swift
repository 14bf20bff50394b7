import Bytes
import SeededRandom
import TestKit
import Testing

@testable import Identity

/// Any input has a defined result, and accepted input complies with the rules.
@Suite("Random changes")
struct TokenFuzzTests {
    /// Changes the bytes at random: replaces single bytes, and removes, repeats or moves pieces.
    private static func mutated(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let from = Int.random(in: 0..<bytes.count, using: &random)
            let piece = Array(
                bytes[from..<min(from + Int.random(in: 1...8, using: &random), bytes.count)])
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[from] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.removeSubrange(from..<from + piece.count)
            case 2: bytes.insert(contentsOf: piece, at: from)
            default:
                bytes.insert(contentsOf: piece, at: Int.random(in: 0...bytes.count, using: &random))
            }
        }
        return bytes
    }

    @Test("a signed random payload is rejected, or its identity complies with all rules")
    func payloads() {
        var random = SeededGenerator(seed: 7)
        let payload = Array(
            #"""
            {"sub":"alice","username":"A\u00e9","tenant_id":"t","agent_id":"x",\#
            "conversations":["a",7],"channel_id":"*","exp":4e9,"nbf":1.5}
            """#
            .utf8)
        let header = Base64URL.encode(Array(#"{"alg":"HS256"}"#.utf8))
        let verifier = TokenVerifier(secret: secret)
        var accepted = 0
        for _ in 0..<5000 {
            let message = header + "." + Base64URL.encode(Self.mutated(payload, &random))
            let signature = Array(message.utf8).withUnsafeBytes { HMACKey(secret).sign($0) }
            guard
                let identity = try? verifier.verify(
                    message + "." + Base64URL.encode(signature), at: now)
            else { continue }
            accepted += 1
            #expect(
                IdentityRule.name.allows(identity.user.string)
                    && IdentityRule.name.allows(identity.displayName.string))
            #expect(
                IdentityRule.tenant.allows(identity.tenant.string)
                    && IdentityRule.name.allows(identity.agent.string))
            if case .listed(let conversations) = identity.grants {
                #expect(conversations.allSatisfy { IdentityRule.conversation.allows($0.string) })
            }
            #expect(identity.expiry.map { now < $0 } != false)
        }
        #expect((200..<4800).contains(accepted))
    }

    @Test("a signed token with a random header is rejected, or its header selects our key")
    func headers() {
        var random = SeededGenerator(seed: 8)
        let header = Array(#"{"alg":"HS256","typ":"JWT","kid":"a","crit":["exp"]}"#.utf8)
        let verifier = TokenVerifier(secret: secret)
        var accepted = 0
        for _ in 0..<5000 {
            let changed = Self.mutated(header, &random)
            let message =
                Base64URL.encode(changed) + "." + Base64URL.encode(Array(#"{"sub":"a"}"#.utf8))
            let signature = Array(message.utf8).withUnsafeBytes { HMACKey(secret).sign($0) }
            guard
                (try? verifier.verify(message + "." + Base64URL.encode(signature), at: now)) != nil
            else { continue }
            accepted += 1
            let text = String(decoding: changed, as: UTF8.self)
            #expect(!text.contains(#""crit":"#) && text.contains(#""HS256""#), "\(text)")
        }
        #expect((5..<2500).contains(accepted))
    }

    @Test("damaged PEM files and key sets are rejected, or contain usable keys")
    func keyFiles() throws {
        var random = SeededGenerator(seed: 9)
        let folder = try TemporaryFolder()
        let pem = Array(
            "\(Vectors.rsaPEM)\n\(Vectors.p256CertificatePEM)\n\(Vectors.ed25519PEM)\n".utf8)
        let set = Array(
            #"""
            {"keys":[{\#(Vectors.rsaNumbers)},{\#(Vectors.p256Numbers)},{\#
            \#(Vectors.ed25519Numbers)}]}
            """#
            .utf8)
        var refused = 0
        for _ in 0..<500 {
            let files = [
                KeyFiles(publicKeys: [try folder.write(Self.mutated(pem, &random), to: "keys.pem")]
                ),
                KeyFiles(keySet: try folder.write(Self.mutated(set, &random), to: "keys.json")),
            ]
            for file in files {
                do throws(KeyError) {
                    #expect((1...6).contains(try file.load().keys.count))
                } catch {
                    refused += 1
                    #expect(error.description.contains(folder.path))
                }
            }
        }
        #expect((300..<1000).contains(refused))
    }
}
