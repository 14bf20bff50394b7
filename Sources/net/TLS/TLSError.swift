/// The reason why TLS cannot be set up or a connection has failed.
public enum TLSError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A certificate, key or authority file. `reason` completes the sentence "… cannot be used:
    /// it".
    case file(path: String, reason: String)
    /// The private key does not belong to the certificate.
    case keyMismatch(certificatePath: String, keyPath: String)
    /// The server name is neither a host name nor an IP address.
    case badServerName(String)
    /// The library is out of memory or was built without a required feature.
    case library(reason: String)
    /// The peer's certificate is not valid for the peer, or no trusted authority has signed it.
    case certificateNotAccepted(reason: String)
    case handshakeFailed(reason: String)
    /// A failure after the handshake: forged or damaged records, an alert, or a broken socket.
    case connectionFailed(reason: String)

    public var description: String {
        switch self {
        case .file(let path, let reason): "\(path) cannot be used: it \(reason)."
        case .keyMismatch(let certificate, let key):
            "The private key in \(key) does not belong to the certificate in \(certificate)."
        case .badServerName(let name):
            "\"\(name)\" is not a host name or address that a certificate can contain."
        case .library(let reason): "TLS cannot be set up: \(reason)."
        case .certificateNotAccepted(let reason):
            "The peer's certificate is not accepted: \(reason)."
        case .handshakeFailed(let reason): "The TLS handshake failed: \(reason)."
        case .connectionFailed(let reason): "The TLS connection failed: \(reason)."
        }
    }
}
