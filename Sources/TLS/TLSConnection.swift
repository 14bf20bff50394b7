internal import COpenSSL
internal import Glibc

/// How far a handshake has come.
public enum TLSProgress: Sendable, Equatable {
    case done
    /// Go on when the socket is ready for reading.
    case wantRead
    /// Go on when the socket is ready for writing.
    case wantWrite
    case failed(TLSError)
}

/// What became of a read or write.
public enum TLSResult: Sendable, Equatable {
    /// So many bytes of the application went over, at least one.
    case bytes(Int)
    /// Go on when the socket is ready for reading: also a write may say so.
    case wantRead
    /// Go on when the socket is ready for writing: also a read may say so.
    case wantWrite
    /// The other side sends no more, with or without saying so.
    case endOfStream
    /// There is no going on.
    case failed(TLSError)
}

/// TLS over one non-blocking stream socket, which stays its opener's to watch and to close.
///
/// It never waits: each call does what the socket allows and says what for to watch it. One loop owns it; it is not Sendable.
public final class TLSConnection {
    private let connection: OpaquePointer
    private let context: TLSContext
    private var state = State.handshaking

    private enum State {
        case handshaking, open, closeNotifySent, failed
    }

    /// The server's side of an accepted socket.
    public init(accepting descriptor: Int32, _ context: TLSContext) throws(TLSError) {
        precondition(context.role == .server, "A socket was accepted with a client's TLS context.")
        self.context = context
        self.connection = try Self.make(context, descriptor)
        SSL_set_accept_state(self.connection)
    }

    /// The client's side of a connected socket. The server's certificate must be for `serverName`: a host name or an IP address.
    public init(connecting descriptor: Int32, to serverName: String, _ context: TLSContext)
        throws(TLSError)
    {
        precondition(context.role == .client, "A socket was connected with a server's TLS context.")
        self.context = context
        self.connection = try Self.make(context, descriptor)
        SSL_set_connect_state(self.connection)
        guard self.setServerName(serverName) else { throw .badServerName(serverName) }
    }

    deinit {
        SSL_free(self.connection)
    }

    private static func make(_ context: TLSContext, _ descriptor: Int32) throws(TLSError)
        -> OpaquePointer
    {
        OpenSSLError.clear()
        guard let connection = SSL_new(context.context) else {
            throw .library(reason: OpenSSLError.reason)
        }
        guard SSL_set_fd(connection, descriptor) == 1 else {
            let reason = OpenSSLError.reason
            SSL_free(connection)
            throw .library(reason: reason)
        }
        return connection
    }

    /// Whom to ask for (RFC 6066 section 3: names only) and whom the certificate must name (RFC 9525).
    private func setServerName(_ serverName: String) -> Bool {
        // The dot of a fully qualified name is not part of it in certificates.
        let name = serverName.hasSuffix(".") ? String(serverName.dropLast()) : serverName
        guard !name.isEmpty, !name.utf8.contains(0) else { return false }
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(self.connection), name) == 1 { return true }
        SSL_set_hostflags(self.connection, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        return SSL_set1_host(self.connection, name) == 1
            && confab_set_server_name(self.connection, name) == 1
    }

    /// Goes on with the handshake as far as the socket allows; to be called again until it is done.
    public func handshake() -> TLSProgress {
        switch self.state {
        case .open: return .done
        case .handshaking: break
        case .closeNotifySent, .failed: return .failed(.handshakeFailed(reason: "it is over"))
        }
        OpenSSLError.clear()
        let result = SSL_do_handshake(self.connection)
        if result == 1 {
            self.state = .open
            return .done
        }
        switch self.result(of: result) {
        case .wantRead: return .wantRead
        case .wantWrite: return .wantWrite
        case .endOfStream:
            return self.fail(.handshakeFailed(reason: "the other side has closed the connection"))
        case .failed(let reason): return self.fail(self.handshakeError(reason))
        }
    }

    /// Takes what has arrived, up to the buffer's size, which must not be 0.
    ///
    /// Must be called until it says `wantRead`, first of all right after the handshake: what OpenSSL has taken from the socket
    /// and not handed out wakes no loop, and only then does it give its 16 KiB back.
    public func read(into buffer: UnsafeMutableRawBufferPointer) -> TLSResult {
        if let refusal = self.resultUnlessOpen { return refusal }
        OpenSSLError.clear()
        var count = 0
        let result = SSL_read_ex(self.connection, buffer.baseAddress, buffer.count, &count)
        return result == 1 ? .bytes(count) : self.unfinishedResult(result)
    }

    /// Gives bytes to the socket: at most one record (16 KiB), as `bytes` says; to be called again with the rest.
    ///
    /// After `wantRead` or `wantWrite` the same bytes must come again, at any address and with more behind them:
    /// a part of their record may be on its way.
    public func write(_ bytes: UnsafeRawBufferPointer) -> TLSResult {
        if let refusal = self.resultUnlessOpen { return refusal }
        precondition(
            !bytes.isEmpty,
            "A TLS connection was asked to write nothing, which OpenSSL cannot tell from a failure."
        )
        OpenSSLError.clear()
        var count = 0
        let result = SSL_write_ex(self.connection, bytes.baseAddress, bytes.count, &count)
        return result == 1 ? .bytes(count) : self.unfinishedResult(result)
    }

    /// Says to the other side that nothing more comes (`close_notify`), if the socket takes it; waits for no answer.
    ///
    /// After everything has been written and before the socket is closed. Nothing happens when there was a failure.
    public func close() {
        guard self.state == .open else { return }
        self.state = .closeNotifySent
        OpenSSLError.clear()
        _ = SSL_shutdown(self.connection)
    }

    /// The version and the cipher, for logs: `TLSv1.3 TLS_AES_256_GCM_SHA384`. Means something after the handshake.
    public var summary: String {
        let cipher =
            SSL_get_current_cipher(self.connection).flatMap { SSL_CIPHER_get_name($0) }.map {
                String(cString: $0)
            } ?? "no cipher"
        return "\(String(cString: SSL_get_version(self.connection))) \(cipher)"
    }
}

extension TLSConnection {
    private enum OpenSSLResult {
        case wantRead, wantWrite, endOfStream
        case failed(reason: String)
    }

    private func result(of result: Int32) -> OpenSSLResult {
        // First of all: any call between may change it.
        let systemError = errno
        switch SSL_get_error(self.connection, result) {
        case SSL_ERROR_WANT_READ: return .wantRead
        case SSL_ERROR_WANT_WRITE: return .wantWrite
        case SSL_ERROR_ZERO_RETURN: return .endOfStream
        case SSL_ERROR_SYSCALL where OpenSSLError.code == 0:
            return systemError == 0
                ? .endOfStream : .failed(reason: OpenSSLError.systemReason(systemError))
        default: return .failed(reason: OpenSSLError.reason)
        }
    }

    private var resultUnlessOpen: TLSResult? {
        switch self.state {
        case .open: nil
        case .handshaking: .failed(.connectionFailed(reason: "the handshake is not done"))
        case .closeNotifySent: .endOfStream
        case .failed: .failed(.connectionFailed(reason: "it is over"))
        }
    }

    private func unfinishedResult(_ result: Int32) -> TLSResult {
        switch self.result(of: result) {
        case .wantRead: return .wantRead
        case .wantWrite: return .wantWrite
        case .endOfStream: return .endOfStream
        case .failed(let reason):
            self.state = .failed
            return .failed(.connectionFailed(reason: reason))
        }
    }

    /// Nothing may be sent or received after it, not even a goodbye (SSL_get_error(3)).
    private func fail(_ error: TLSError) -> TLSProgress {
        self.state = .failed
        return .failed(error)
    }

    private func handshakeError(_ reason: String) -> TLSError {
        let verdict = SSL_get_verify_result(self.connection)
        guard verdict != Int(X509_V_OK) else { return .handshakeFailed(reason: reason) }
        return .certificateNotAccepted(
            reason: String(cString: X509_verify_cert_error_string(verdict)))
    }
}
