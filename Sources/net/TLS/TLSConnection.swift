internal import COpenSSL
internal import Glibc

/// The state of a handshake.
public enum TLSProgress: Sendable, Equatable {
    case done
    /// Call again when the socket is readable.
    case wantRead
    /// Call again when the socket is writable.
    case wantWrite
    case failed(TLSError)
}

/// The result of a read or write.
public enum TLSResult: Sendable, Equatable {
    /// The number of application bytes transferred, at least one.
    case bytes(Int)
    /// Call again when the socket is readable. A write may return this, too.
    case wantRead
    /// Call again when the socket is writable. A read may return this, too.
    case wantWrite
    /// The peer has ended its side of the stream, with or without `close_notify`.
    case endOfStream
    /// The connection has failed and cannot be used any more.
    case failed(TLSError)
}

/// TLS on a non-blocking stream socket. The caller watches and closes the socket.
///
/// No call blocks. Each call does what the socket allows and returns the event to wait for. One
/// loop owns the connection, so it is not Sendable.
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

    /// The client's side of a connected socket. The server's certificate must be valid for
    /// `serverName`, a host name or an IP address.
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

    /// Sets the name that the client requests (SNI, RFC 6066 section 3: only for host names) and
    /// that the certificate must contain (RFC 9525).
    private func setServerName(_ serverName: String) -> Bool {
        // Certificates contain names without the final dot of a fully qualified name.
        let name = serverName.hasSuffix(".") ? String(serverName.dropLast()) : serverName
        guard !name.isEmpty, !name.utf8.contains(0) else { return false }
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(self.connection), name) == 1 { return true }
        SSL_set_hostflags(self.connection, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        return SSL_set1_host(self.connection, name) == 1
            && confab_set_server_name(self.connection, name) == 1
    }

    /// Continues the handshake as far as the socket allows. Call it again until it is complete.
    public func handshake() -> TLSProgress {
        switch self.state {
        case .open: return .done
        case .handshaking: break
        case .closeNotifySent, .failed:
            return .failed(
                .handshakeFailed(
                    reason: "the connection is unusable after an earlier failure or close"))
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
            return self.fail(.handshakeFailed(reason: "the peer has closed the connection"))
        case .failed(let reason): return self.fail(self.handshakeError(reason))
        }
    }

    /// Reads the available bytes, up to the buffer's size, which must not be 0.
    ///
    /// Read until `wantRead` is returned, also directly after the handshake. Data that OpenSSL has
    /// already read from the socket does not wake the loop. OpenSSL releases its buffer of 16 KiB
    /// only when it is empty.
    public func read(into buffer: UnsafeMutableRawBufferPointer) -> TLSResult {
        if let result = self.resultUnlessOpen { return result }
        OpenSSLError.clear()
        var count = 0
        let result = SSL_read_ex(self.connection, buffer.baseAddress, buffer.count, &count)
        return result == 1 ? .bytes(count) : self.unfinishedResult(result)
    }

    /// Writes at most one record (16 KiB) and returns its length. Call again with the remaining
    /// bytes.
    ///
    /// After `wantRead` or `wantWrite`, pass the same bytes again, because a part of their record
    /// may already be sent. Their address may change and more bytes may follow.
    public func write(_ bytes: UnsafeRawBufferPointer) -> TLSResult {
        if let result = self.resultUnlessOpen { return result }
        precondition(
            !bytes.isEmpty,
            "A TLS write of 0 bytes, which OpenSSL reports as a failure."
        )
        OpenSSLError.clear()
        var count = 0
        let result = SSL_write_ex(self.connection, bytes.baseAddress, bytes.count, &count)
        return result == 1 ? .bytes(count) : self.unfinishedResult(result)
    }

    /// Sends `close_notify` if the socket accepts it. Does not wait for an answer.
    ///
    /// Call it after the last write and before the socket is closed. Has no effect after a failure.
    public func close() {
        guard self.state == .open else { return }
        self.state = .closeNotifySent
        OpenSSLError.clear()
        _ = SSL_shutdown(self.connection)
    }

    /// The version and the cipher, for logs: `TLSv1.3 TLS_AES_256_GCM_SHA384`. Valid after the
    /// handshake.
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
        // Read errno first: any other call may change it.
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
        case .handshaking: .failed(.connectionFailed(reason: "the handshake is not complete"))
        case .closeNotifySent: .endOfStream
        case .failed:
            .failed(
                .connectionFailed(
                    reason: "the connection is unusable after an earlier failure or close"))
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

    /// After a failure nothing may be sent or received, not even `close_notify` (SSL_get_error(3)).
    private func fail(_ error: TLSError) -> TLSProgress {
        self.state = .failed
        return .failed(error)
    }

    private func handshakeError(_ reason: String) -> TLSError {
        let verifyResult = SSL_get_verify_result(self.connection)
        guard verifyResult != Int(X509_V_OK) else { return .handshakeFailed(reason: reason) }
        return .certificateNotAccepted(
            reason: String(cString: X509_verify_cert_error_string(verifyResult)))
    }
}
