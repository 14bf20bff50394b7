public import Bytes
internal import COpenSSL
internal import Glibc

/// The common settings of connections: certificate and key of a server, or trusted authorities of a
/// client.
///
/// To reload, create a new context for later connections. Existing connections keep theirs.
///
/// The settings follow RFC 9325: TLS 1.2 or later, in TLS 1.2 only authenticated ciphers with
/// forward secrecy, no renegotiation, no compression. The process must ignore SIGPIPE. OpenSSL
/// writes to the descriptor itself, and a closed peer would otherwise end the process.
///
/// Unchecked Sendable: an `SSL_CTX` may create connections on any thread (openssl-threads(7)), and
/// nothing here changes it after `init`.
public final class TLSContext: @unchecked Sendable {
    enum HandshakeRole {
        case server, client
    }

    let context: OpaquePointer
    let role: HandshakeRole
    /// The expiry time of the server's certificate. Nil for a client.
    public let certificateExpiry: Timestamp?

    /// The only supported application protocol (RFC 7301). A client that offers only others gets an
    /// alert.
    static let applicationProtocol = Array("http/1.1".utf8)

    /// Creates a server context from a certificate (PEM, followed by its chain) and its private key
    /// (PEM, without a passphrase).
    public init(serverCertificate certificatePath: String, key keyPath: String) throws(TLSError) {
        let context = try Self.make(TLS_server_method())
        do throws(TLSError) {
            try Self.useCertificate(certificatePath, in: context)
            try Self.useKey(keyPath, ofCertificate: certificatePath, in: context)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        SSL_CTX_set_alpn_select_cb(context, Self.selectProtocol, nil)
        self.context = context
        self.role = .server
        self.certificateExpiry = Self.expiry(of: context)
    }

    /// Creates a client context that trusts the authorities in the file `authorities` (PEM), or
    /// those of the system if it is nil.
    ///
    /// - Parameter offersHTTP: whether the client offers `http/1.1` as application protocol. False
    ///   for Redis.
    public init(clientTrusting authorities: String? = nil, offersHTTP: Bool = false)
        throws(TLSError)
    {
        let context = try Self.make(TLS_client_method())
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        do throws(TLSError) {
            try Self.trust(authorities, in: context)
            if offersHTTP { try Self.offerHTTP(in: context) }
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        self.context = context
        self.role = .client
        self.certificateExpiry = nil
    }

    deinit {
        SSL_CTX_free(self.context)
    }

    private static func make(_ method: OpaquePointer?) throws(TLSError) -> OpaquePointer {
        OpenSSLError.clear()
        guard let context = SSL_CTX_new(method) else { throw .library(reason: OpenSSLError.reason) }
        // Record buffers are released between records: 14 kB per idle connection instead of 23 kB.
        // A write may be partial and may be repeated from another address, because the write queue
        // moves its bytes.
        let mode =
            SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
            | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        _ = confab_set_mode(context, Int(mode))
        _ = confab_set_options(context)
        // Reads the header and the body of a record with one read(2): 3.4 µs for a short record
        // instead of 4.1 µs.
        confab_set_read_ahead(context)
        // Sessions are resumed with tickets, which the client stores. A cache on the server would
        // grow with the number of connections.
        _ = confab_set_session_cache_off(context)
        // Requires 112 bits of security everywhere, so an RSA key of 1024 bits is rejected on both
        // sides. This is Debian's default level, but not that of all distributions.
        SSL_CTX_set_security_level(context, 2)
        guard confab_set_min_proto_tls12(context) == 1,
            SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1
        else {
            let reason = OpenSSLError.reason
            SSL_CTX_free(context)
            throw .library(reason: reason)
        }
        return context
    }

    private static func trust(_ authorities: String?, in context: OpaquePointer) throws(TLSError) {
        OpenSSLError.clear()
        guard let authorities else {
            guard SSL_CTX_set_default_verify_paths(context) == 1 else {
                throw .library(reason: OpenSSLError.reason)
            }
            return
        }
        try Self.checkReadable(authorities)
        guard SSL_CTX_load_verify_file(context, authorities) == 1 else {
            throw .file(
                path: authorities, reason: "contains no PEM certificates (\(OpenSSLError.reason))")
        }
    }

    private static func offerHTTP(in context: OpaquePointer) throws(TLSError) {
        let offer = [UInt8(Self.applicationProtocol.count)] + Self.applicationProtocol
        // Unlike other OpenSSL functions, this one returns 0 on success.
        guard SSL_CTX_set_alpn_protos(context, offer, UInt32(offer.count)) == 0 else {
            throw .library(reason: OpenSSLError.reason)
        }
    }

    /// In the client's list, a length precedes each name. The result is a pointer into that list.
    private static let selectProtocol: SSL_CTX_alpn_select_cb_func = {
        _, chosen, chosenLength, list, listBytes, _ in
        guard let chosen, let chosenLength, let list else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        let offers = UnsafeBufferPointer(start: list, count: Int(listBytes))
        var offset = 0
        while offset < offers.count {
            let name = offset + 1..<offset + 1 + Int(offers[offset])
            guard name.upperBound <= offers.count else { break }
            if offers[name].elementsEqual(TLSContext.applicationProtocol) {
                chosen.pointee = list + name.lowerBound
                chosenLength.pointee = UInt8(name.count)
                return SSL_TLSEXT_ERR_OK
            }
            offset = name.upperBound
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
}
