internal import Bytes
internal import COpenSSL
internal import Glibc

/// The certificate and the key of a server.
extension TLSContext {
    static func useCertificate(_ path: String, in context: OpaquePointer) throws(TLSError) {
        OpenSSLError.clear()
        try self.checkReadable(path)
        guard SSL_CTX_use_certificate_chain_file(context, path) == 1 else {
            throw .file(
                path: path, reason: "contains no usable PEM certificate (\(OpenSSLError.reason))")
        }
    }

    static func useKey(
        _ path: String, ofCertificate certificatePath: String, in context: OpaquePointer
    ) throws(TLSError) {
        OpenSSLError.clear()
        try self.checkReadable(path)
        var isEncrypted = false
        let isUsed = withUnsafeMutablePointer(to: &isEncrypted) { flag in
            // OpenSSL's default callback asks on the terminal and blocks.
            SSL_CTX_set_default_passwd_cb(context) { _, _, _, flag in
                flag?.assumingMemoryBound(to: Bool.self).pointee = true
                return -1
            }
            SSL_CTX_set_default_passwd_cb_userdata(context, flag)
            defer { SSL_CTX_set_default_passwd_cb_userdata(context, nil) }
            return SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1
        }
        if isEncrypted {
            throw .file(path: path, reason: "is encrypted; give the key without a passphrase")
        }
        let mismatch = TLSError.keyMismatch(certificatePath: certificatePath, keyPath: path)
        guard isUsed else {
            if OpenSSLError.isReason(X509_R_KEY_VALUES_MISMATCH, ofLibrary: ERR_LIB_X509) {
                throw mismatch
            }
            throw .file(
                path: path, reason: "contains no usable PEM private key (\(OpenSSLError.reason))")
        }
        // Only this call detects a key of a different type than the certificate's.
        guard SSL_CTX_check_private_key(context) == 1 else { throw mismatch }
    }

    /// Checked first, because OpenSSL's message for a missing file contains the names of its own
    /// source files.
    static func checkReadable(_ path: String) throws(TLSError) {
        guard access(path, R_OK) == 0 else {
            throw .file(path: path, reason: "cannot be read (\(OpenSSLError.systemReason(errno)))")
        }
    }

    static func expiry(of context: OpaquePointer) -> Timestamp? {
        guard let certificate = SSL_CTX_get0_certificate(context),
            let end = X509_get0_notAfter(certificate)
        else { return nil }
        var calendar = tm()
        guard ASN1_TIME_to_tm(end, &calendar) == 1 else { return nil }
        return Timestamp(milliseconds: Int64(timegm(&calendar)) * 1000)
    }
}
