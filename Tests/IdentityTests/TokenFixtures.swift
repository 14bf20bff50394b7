import Bytes

@testable import Identity

/// A secret of 32 bytes.
let secret = Array("0123456789abcdef0123456789abcdef".utf8)

/// 2026-01-31T12:00:00Z, the time at which tokens are verified.
let now = Timestamp(milliseconds: 1_769_860_800_000)

/// A compact token of any header and payload, signed correctly with `key`. It can contain what
/// `TokenSigner` rejects.
func token(
    header: String = #"{"alg":"HS256"}"#, payload: String = #"{"sub":"alice"}"#,
    key: [UInt8] = secret
) -> String {
    let message = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(payload.utf8))
    return message + "."
        + Base64URL.encode(Array(message.utf8).withUnsafeBytes { HMACKey(key).sign($0) })
}

extension TokenVerifier {
    /// Verifies a correctly signed token with this payload.
    func identity(payload: String) throws(TokenError) -> Identity {
        try self.verify(token(payload: payload), at: now)
    }

    /// The reason why a correctly signed token with this payload is rejected. Nil if it is
    /// accepted.
    func rejection(payload: String) -> TokenError? {
        do throws(TokenError) {
            _ = try self.identity(payload: payload)
            return nil
        } catch {
            return error
        }
    }

    func verify(bytes: [UInt8]) throws(TokenError) -> Identity {
        try self.verify(bytes.span.bytes, at: now)
    }
}
