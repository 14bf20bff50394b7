internal import COpenSSL

/// An OpenSSL public key for RS256, ES256 or EdDSA that has passed all checks.
///
/// Unchecked Sendable: an `EVP_PKEY` may be read from any thread (openssl-threads(7)), and nothing
/// writes to it after `init`.
final class PublicKey: @unchecked Sendable {
    /// The reason to reject a key. It completes the sentence "… cannot be used: it".
    struct PublicKeyError: Error {
        let reason: String
    }

    let algorithm: TokenAlgorithm
    private let key: OpaquePointer

    static let rsaBitMinimum = 2048
    /// r and s of P-256, 32 bytes each (RFC 7518 section 3.4).
    private static let es256SignatureBytes = 64

    /// Takes ownership of `key`, even if this throws.
    init(owning key: OpaquePointer) throws(PublicKeyError) {
        do throws(PublicKeyError) {
            self.algorithm = try Self.check(key)
        } catch {
            EVP_PKEY_free(key)
            throw error
        }
        self.key = key
    }

    deinit {
        EVP_PKEY_free(self.key)
    }

    /// Takes 15 to 60 µs, almost all of it arithmetic. Allocates OpenSSL's contexts.
    func isValid(_ signature: [UInt8], of message: UnsafeRawBufferPointer) -> Bool {
        var signature = signature
        if self.algorithm == .es256 {
            guard let encoded = Self.derSignature(signature) else { return false }
            signature = encoded
        }
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        let digest = self.algorithm == .edDSA ? nil : EVP_sha256()
        guard EVP_DigestVerifyInit(context, nil, digest, nil, self.key) == 1 else { return false }
        let text = message.assumingMemoryBound(to: UInt8.self)
        // Every result except 1 is a rejection: 0 means a wrong signature, a negative number a
        // malformed one.
        return EVP_DigestVerify(context, signature, signature.count, text.baseAddress, text.count)
            == 1
    }

    /// JOSE concatenates r and s. OpenSSL requires the ASN.1 type ECDSA-Sig-Value (RFC 3279 section
    /// 2.2.3).
    private static func derSignature(_ raw: [UInt8]) -> [UInt8]? {
        guard raw.count == Self.es256SignatureBytes, let signature = ECDSA_SIG_new() else {
            return nil
        }
        defer { ECDSA_SIG_free(signature) }
        let half = Self.es256SignatureBytes / 2
        let r = raw.withUnsafeBufferPointer { BN_bin2bn($0.baseAddress, Int32(half), nil) }
        let s = raw.withUnsafeBufferPointer { BN_bin2bn($0.baseAddress! + half, Int32(half), nil) }
        guard ECDSA_SIG_set0(signature, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        let length = i2d_ECDSA_SIG(signature, nil)
        guard length > 0 else { return nil }
        return [UInt8](unsafeUninitializedCapacity: Int(length)) { bytes, count in
            var end = bytes.baseAddress
            count = Int(i2d_ECDSA_SIG(signature, &end))
        }
    }
}

extension PublicKey {
    /// Returns the algorithm of the key. Throws if the key is weak or invalid.
    private static func check(_ key: OpaquePointer) throws(PublicKeyError) -> TokenAlgorithm {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let algorithm: TokenAlgorithm
        if EVP_PKEY_is_a(key, "RSA") == 1 {
            let bits = Int(EVP_PKEY_get_bits(key))
            guard bits >= Self.rsaBitMinimum else {
                throw PublicKeyError(
                    reason:
                        "is an RSA key of \(bits) bits; at least \(Self.rsaBitMinimum) are required"
                )
            }
            algorithm = .rs256
        } else if EVP_PKEY_is_a(key, "EC") == 1 {
            guard Self.groupName(of: key) == "prime256v1" else {
                throw PublicKeyError(reason: "is an elliptic-curve key that is not on P-256")
            }
            algorithm = .es256
        } else if EVP_PKEY_is_a(key, "ED25519") == 1 {
            algorithm = .edDSA
        } else {
            throw PublicKeyError(reason: "is neither an RSA, a P-256 nor an Ed25519 key")
        }
        // With an exponent of 1, each signature would be its own message. A point off the curve is
        // not a valid key either.
        guard let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil) else {
            throw PublicKeyError(reason: "does not fit into memory")
        }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_public_check(context) == 1 else {
            throw PublicKeyError(reason: "is not a valid public key")
        }
        return algorithm
    }

    private static func groupName(of key: OpaquePointer) -> String? {
        var name = [CChar](repeating: 0, count: 64)
        var length = 0
        guard EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1, length < name.count
        else { return nil }
        return String(decoding: name[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
