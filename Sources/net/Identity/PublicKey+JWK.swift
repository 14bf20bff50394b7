internal import COpenSSL

/// Creates keys from the values of a JSON Web Key (RFC 7518 section 6, RFC 8037 section 2).
extension PublicKey {
    /// Creates an RSA key. Modulus and exponent are big-endian.
    convenience init(rsaModulus modulus: [UInt8], exponent: [UInt8]) throws(PublicKeyError) {
        guard (1...2048).contains(modulus.count), (1...8).contains(exponent.count) else {
            throw PublicKeyError(reason: "has an RSA modulus or exponent of an impossible length")
        }
        ERR_clear_error()
        let key = confab_rsa_public_key(
            modulus, Int32(modulus.count), exponent, Int32(exponent.count))
        guard let key else { throw PublicKeyError(reason: "is not a valid RSA key") }
        try self.init(owning: key)
    }

    /// Creates a P-256 key from two coordinates of 32 bytes each.
    convenience init(p256X x: [UInt8], y: [UInt8]) throws(PublicKeyError) {
        guard x.count == 32, y.count == 32 else {
            throw PublicKeyError(reason: "must have 32 bytes in each of \"x\" and \"y\"")
        }
        let point = [4] + x + y  // SEC 1 section 2.3.3: uncompressed.
        ERR_clear_error()
        let key = confab_p256_public_key(point, point.count)
        guard let key else { throw PublicKeyError(reason: "has a point that is not on P-256") }
        try self.init(owning: key)
    }

    convenience init(ed25519 bytes: [UInt8]) throws(PublicKeyError) {
        guard bytes.count == 32 else { throw PublicKeyError(reason: "must have 32 bytes in \"x\"") }
        ERR_clear_error()
        guard let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count)
        else {
            throw PublicKeyError(reason: "is not a valid Ed25519 key")
        }
        try self.init(owning: key)
    }
}
