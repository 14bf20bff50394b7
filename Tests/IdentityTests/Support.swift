import Bytes
import Foundation

@testable import Identity

/// A secret of 32 bytes.
let secret = Array("0123456789abcdef0123456789abcdef".utf8)

/// 2026-01-31T12:00:00Z, the moment at which tokens are verified.
let now = Timestamp(milliseconds: 1_769_860_800_000)

/// A compact token of any header and payload, rightly signed with `key`: also what no `TokenSigner` would make.
func token(
    header: String = #"{"alg":"HS256"}"#, payload: String = #"{"sub":"alice"}"#, key: [UInt8] = secret
) -> String {
    let message = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(payload.utf8))
    return message + "." + Base64URL.encode(Array(message.utf8).withUnsafeBytes { HMACKey(key).sign($0) })
}

extension TokenVerifier {
    /// What a token of this payload, rightly signed, is taken for.
    func identity(payload: String) throws(TokenError) -> Identity {
        try self.verify(token(payload: payload), at: now)
    }

    func verify(bytes: [UInt8]) throws(TokenError) -> Identity {
        try self.verify(bytes.span.bytes, at: now)
    }
}

/// A folder that is gone after the test.
final class TemporaryFolder {
    let path: String

    init() throws {
        self.path = FileManager.default.temporaryDirectory.appending(path: "identity-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }

    func file(_ name: String, _ text: String) throws -> String {
        try self.file(name, Array(text.utf8))
    }

    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = self.path + "/" + name
        try Data(bytes).write(to: URL(filePath: path))
        return path
    }
}

/// Repeatable chance (SplitMix64, Steele, Lea and Flood 2014).
struct SeededChance: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
