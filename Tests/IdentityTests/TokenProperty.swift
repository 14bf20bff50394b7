import Bytes
import JSON

@testable import Identity

/// Properties that hold for any bytes as a token. The fuzzer (`script/fuzz jwt`) and the corpus in
/// the ordinary tests supply the bytes. A violation ends the process.
enum TokenProperty {
    private static let secret = Array("a secret of more than thirty-two bytes".utf8)
    private static let verifier = TokenVerifier(secret: secret)
    private static let now = Timestamp(milliseconds: 1_800_000_000_000)

    /// - Returns: whether header and payload are accepted once they are signed.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        // A token without a valid signature is never accepted.
        precondition(self.verify(bytes) == nil, "an unsigned token was accepted")
        // Takes the first line as the header and the rest as the payload, and signs them. Any
        // contents must be parsed safely.
        let line = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
        let message =
            Base64URL.encode(Array(bytes[..<line])) + "."
            + Base64URL.encode(Array(bytes[line...].dropFirst()))
        let signature = Array(message.utf8).withUnsafeBytes { HMACKey(self.secret).sign($0) }
        guard let identity = self.verify(Array("\(message).\(Base64URL.encode(signature))".utf8))
        else { return false }
        precondition(
            IdentityRule.name.allows(identity.user.string), "a user with a name that is not allowed"
        )
        precondition(
            IdentityRule.name.allows(identity.displayName.string),
            "a display name that is not allowed")
        precondition(
            IdentityRule.name.allows(identity.agent.string),
            "an agent with a name that is not allowed")
        precondition(
            IdentityRule.tenant.allows(identity.tenant.string),
            "a tenant with a name that is not allowed")
        if case .listed(let ids) = identity.grants {
            precondition(
                ids.allSatisfy { IdentityRule.conversation.allows($0.string) },
                "a conversation with an id that is not allowed")
        }
        if let expiry = identity.expiry {
            precondition(expiry > self.now, "a token was accepted after its end")
        }
        return true
    }

    private static func verify(_ token: [UInt8]) -> Identity? {
        token.withUnsafeBytes { try? self.verifier.verify($0.bytes, at: self.now) }
    }
}
