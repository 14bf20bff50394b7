internal import COpenSSL

/// A public key of OpenSSL that verifies RS256, ES256 or EdDSA, and the checks it has passed.
///
/// Unchecked Sendable because an `EVP_PKEY` may be read from any thread once it is made (openssl-threads(7)), and nothing
/// writes to it after `init`.
final class PublicKey: @unchecked Sendable {
    /// Why a key is not taken; ends the sentence "… cannot be used: it".
    struct PublicKeyError: Error {
        let reason: String
    }

    let algorithm: TokenAlgorithm
    private let key: OpaquePointer

    static let rsaBitMinimum = 2048
    /// P-256's r and s, 32 bytes each (RFC 7518 section 3.4).
    private static let es256SignatureBytes = 64

    /// Takes over `key`, also when it throws.
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

    /// Allocates (OpenSSL's contexts); 15 to 60 µs, nearly all of it arithmetic.
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
        // Anything but 1 is a refusal: 0 says that the signature is wrong, a negative number that it is none at all.
        return EVP_DigestVerify(context, signature, signature.count, text.baseAddress, text.count)
            == 1
    }

    /// JOSE writes r and s one behind the other; OpenSSL wants the ASN.1 of ECDSA-Sig-Value (RFC 3279 section 2.2.3).
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
    /// The one algorithm of the key, when it is strong and sound.
    private static func check(_ key: OpaquePointer) throws(PublicKeyError) -> TokenAlgorithm {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let algorithm: TokenAlgorithm
        if EVP_PKEY_is_a(key, "RSA") == 1 {
            let bits = Int(EVP_PKEY_get_bits(key))
            guard bits >= Self.rsaBitMinimum else {
                throw PublicKeyError(
                    reason:
                        "is an RSA key of \(bits) bits, at least \(Self.rsaBitMinimum) are needed")
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
        // An exponent of 1 would make every signature its own message; a point off the curve is no key.
        guard let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil) else {
            throw PublicKeyError(reason: "is more than memory can hold")
        }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_public_check(context) == 1 else {
            throw PublicKeyError(reason: "is no sound public key")
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
