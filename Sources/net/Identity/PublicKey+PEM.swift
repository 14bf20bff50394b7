internal import Bytes
internal import COpenSSL
internal import Glibc

/// Reads keys from PEM (RFC 7468): `PUBLIC KEY`, the older `RSA PUBLIC KEY`, and the key of a
/// `CERTIFICATE`.
extension PublicKey {
    /// Returns all keys of the text, in order. Throws if there is none.
    static func all(pem text: [UInt8]) throws(PublicKeyError) -> [PublicKey] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let source = BIO_new_mem_buf(text, Int32(text.count)) else {
            throw PublicKeyError(reason: "does not fit into memory")
        }
        defer { BIO_free(source) }
        var keys: [PublicKey] = []
        var block = PEMBlock()
        while block.read(from: source) {
            keys.append(try PublicKey(owning: try block.publicKey()))
        }
        guard Self.isEndOfPEM else { throw PublicKeyError(reason: "contains a damaged PEM block") }
        guard !keys.isEmpty else { throw PublicKeyError(reason: "contains no PEM public key") }
        return keys
    }

    /// The earliest expiry among the certificates of the text; nil if it contains none. Tokens are
    /// verified even after it.
    static func certificateExpiry(pem text: [UInt8]) -> Timestamp? {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let source = BIO_new_mem_buf(text, Int32(text.count)) else { return nil }
        defer { BIO_free(source) }
        var earliest: Timestamp?
        var block = PEMBlock()
        while block.read(from: source) {
            guard let expiry = block.certificateExpiry else { continue }
            earliest = min(earliest ?? expiry, expiry)
        }
        return earliest
    }

    /// `PEM_read_bio` also fails at the end of the text. Only its error tells that no further block
    /// begins.
    private static var isEndOfPEM: Bool {
        let error = ERR_peek_last_error()
        return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE
    }
}

/// A PEM block as OpenSSL reads it: label, headers, bytes.
private struct PEMBlock: ~Copyable {
    private var label: UnsafeMutablePointer<CChar>?
    private var headers: UnsafeMutablePointer<CChar>?
    private var bytes: UnsafeMutablePointer<UInt8>?
    private var byteCount = 0

    deinit {
        Self.free(self.label, self.headers, self.bytes)
    }

    /// Returns false at the end and for a damaged block.
    mutating func read(from source: OpaquePointer) -> Bool {
        Self.free(self.label, self.headers, self.bytes)
        (self.label, self.headers, self.bytes) = (nil, nil, nil)
        return PEM_read_bio(source, &self.label, &self.headers, &self.bytes, &self.byteCount) == 1
    }

    func publicKey() throws(PublicKey.PublicKeyError) -> OpaquePointer {
        var next = UnsafePointer(self.bytes)
        let key: OpaquePointer?
        switch self.label.map({ String(cString: $0) }) ?? "" {
        case "PUBLIC KEY":
            key = d2i_PUBKEY(nil, &next, self.byteCount)
        case "RSA PUBLIC KEY":
            key = d2i_PublicKey(EVP_PKEY_RSA, nil, &next, self.byteCount)
        case "CERTIFICATE":
            let certificate = d2i_X509(nil, &next, self.byteCount)
            defer { X509_free(certificate) }
            key = X509_get_pubkey(certificate)
        case let label where label.hasSuffix("PRIVATE KEY"):
            throw PublicKey.PublicKeyError(reason: "contains a private key; give the public key")
        default:
            throw PublicKey.PublicKeyError(reason: "contains a PEM block that is not a public key")
        }
        guard let key else {
            throw PublicKey.PublicKeyError(reason: "contains a damaged PEM block")
        }
        return key
    }

    /// Nil if the block is no certificate.
    var certificateExpiry: Timestamp? {
        guard let label = self.label, String(cString: label) == "CERTIFICATE" else { return nil }
        var next = UnsafePointer(self.bytes)
        let certificate = d2i_X509(nil, &next, self.byteCount)
        defer { X509_free(certificate) }
        var calendar = tm()
        guard let end = certificate.flatMap({ X509_get0_notAfter($0) }),
            ASN1_TIME_to_tm(end, &calendar) == 1
        else { return nil }
        return Timestamp(milliseconds: Int64(timegm(&calendar)) * 1000)
    }

    private static func free(
        _ label: UnsafeMutablePointer<CChar>?, _ headers: UnsafeMutablePointer<CChar>?,
        _ bytes: UnsafeMutablePointer<UInt8>?
    ) {
        CRYPTO_free(label, #file, #line)
        CRYPTO_free(headers, #file, #line)
        CRYPTO_free(bytes, #file, #line)
    }
}
