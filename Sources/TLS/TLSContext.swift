public import Bytes
internal import COpenSSL
internal import Glibc

/// What the connections of one side have in common: certificate and key of a server, trusted authorities of a client.
///
/// Reloading is making another one, for later connections; living ones keep theirs. TLS 1.2 or later, in 1.2 only
/// forward-secret authenticated ciphers, no renegotiation, no compression (RFC 9325). The process must ignore SIGPIPE:
/// OpenSSL writes to the descriptor itself, and a peer that has gone would end the process.
///
/// Unchecked Sendable because an `SSL_CTX` may make connections on any thread (openssl-threads(7)), and nothing here
/// changes it after `init`.
public final class TLSContext: @unchecked Sendable {
    enum HandshakeRole {
        case server, client
    }

    let context: OpaquePointer
    let role: HandshakeRole
    /// When the server's certificate ends; nil for a client.
    public let certificateExpiry: Timestamp?

    /// The only application protocol we have (RFC 7301). A client that offers others and not this gets the alert.
    static let applicationProtocol = Array("http/1.1".utf8)

    /// A server with a certificate (PEM, with the chain behind it) and its private key (PEM, without a passphrase).
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

    /// A client that believes the authorities in `authorities` (PEM), or, without it, the system's.
    ///
    /// - Parameter offersHTTP: whether it names `http/1.1` as what it will speak; not for Redis.
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
        // A record's buffers are given back between records: 14 kB an idle connection, not 23. A write may take a part, and may
        // be repeated from another address, since what it writes is a queue of ours that moves on.
        let mode =
            SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
            | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        _ = confab_set_mode(context, Int(mode))
        _ = confab_set_options(context)
        // Takes a record's head and body in one read(2) and not in two: 3.4 µs for a short one, not 4.1.
        confab_set_read_ahead(context)
        // Resumption works by tickets, which the client keeps; a cache here would grow with its connections.
        _ = confab_set_session_cache_off(context)
        // 112 bits everywhere: an RSA key of 1024 bits is refused, on whichever side. Debian's level, not everybody's.
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
                path: authorities, reason: "holds no certificates in PEM (\(OpenSSLError.reason))")
        }
    }

    private static func offerHTTP(in context: OpaquePointer) throws(TLSError) {
        let offer = [UInt8(Self.applicationProtocol.count)] + Self.applicationProtocol
        // Of all of OpenSSL's functions this one answers 0 when all is well.
        guard SSL_CTX_set_alpn_protos(context, offer, UInt32(offer.count)) == 0 else {
            throw .library(reason: OpenSSLError.reason)
        }
    }

    /// The client's list has a length before each name; the answer points into it.
    private static let selectProtocol: SSL_CTX_alpn_select_cb_func = {
        _, chosen, chosenLength, list, listBytes, _ in
        guard let chosen, let chosenLength, let list else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        let offers = UnsafeBufferPointer(start: list, count: Int(listBytes))
        var place = 0
        while place < offers.count {
            let name = place + 1..<place + 1 + Int(offers[place])
            guard name.upperBound <= offers.count else { break }
            if offers[name].elementsEqual(TLSContext.applicationProtocol) {
                chosen.pointee = list + name.lowerBound
                chosenLength.pointee = UInt8(name.count)
                return SSL_TLSEXT_ERR_OK
            }
            place = name.upperBound
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
}
