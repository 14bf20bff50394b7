/// Why TLS cannot be set up, or why a connection has failed.
public enum TLSError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A certificate, key or authority file; `reason` ends the sentence "… cannot be used: it".
    case file(path: String, reason: String)
    /// The private key is not the certificate's.
    case keyMismatch(certificatePath: String, keyPath: String)
    /// What a client wants to reach is neither a host name nor an IP address.
    case badServerName(String)
    /// The library has no memory, or was built without what we need.
    case library(reason: String)
    /// The other side is not who it should be, or nobody we trust says so.
    case certificateNotAccepted(reason: String)
    case handshakeFailed(reason: String)
    /// After the handshake: forged or damaged records, an alert, a broken socket.
    case connectionFailed(reason: String)

    public var description: String {
        switch self {
        case .file(let path, let reason): "\(path) cannot be used: it \(reason)."
        case .keyMismatch(let certificate, let key):
            "The private key in \(key) does not belong to the certificate in \(certificate)."
        case .badServerName(let name):
            "\"\(name)\" is no host name that a certificate could be checked against."
        case .library(let reason): "TLS cannot be set up: \(reason)."
        case .certificateNotAccepted(let reason):
            "The other side's certificate is not accepted: \(reason)."
        case .handshakeFailed(let reason): "The TLS handshake has failed: \(reason)."
        case .connectionFailed(let reason): "The TLS connection has failed: \(reason)."
        }
    }
}
