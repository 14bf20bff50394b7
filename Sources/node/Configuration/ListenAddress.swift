internal import Bytes

/// An address to listen on: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`. Port 0 selects a free
/// port.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// An address or a name; IPv6 without brackets.
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Whether only this machine can reach it.
    public var isLoopback: Bool {
        self.host.lowercased() == "localhost" || IPAddress(self.host)?.isLoopback == true
    }

    public var description: String {
        "\(HostPort.bracketed(self.host)):\(self.port)"
    }

    static func parse(_ text: String) throws(ValueProblem) -> ListenAddress {
        try self.parse(text, defaultPort: nil)
    }

    /// - Parameter defaultPort: the port of a text without one; nil if it must have one.
    static func parse(_ text: String, defaultPort: UInt16?) throws(ValueProblem) -> ListenAddress {
        let problem = ValueProblem("\(text.quoted) is not HOST:PORT")
        guard let parts = HostPort(text[...]) else { throw problem }
        let lastPart = text.split(separator: ":", omittingEmptySubsequences: false).last
        if parts.isAmbiguous, lastPart.flatMap({ HostPort.port($0) }) != nil {
            throw ValueProblem("\(text.quoted) is not HOST:PORT; write IPv6 as [ADDRESS]:PORT")
        }
        guard let port = parts.suffix.isEmpty ? defaultPort : parts.port else { throw problem }
        let host = parts.host
        if parts.isBracketed {
            guard IPAddress(host)?.isIPv6 == true else { throw problem }
        } else {
            if host.isEmpty || host == "*" {
                throw ValueProblem(
                    """
                    \(text.quoted) is not HOST:PORT; for all interfaces use 0.0.0.0:\(port) or \
                    [::]:\(port)
                    """
                )
            }
            let isNumeric = host.utf8.allSatisfy {
                (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".")
            }
            let isName =
                host.utf8.count <= 253
                && host.utf8.allSatisfy { $0.isASCIILetterOrDigit || "-._".utf8.contains($0) }
            guard isNumeric ? IPAddress(host) != nil : isName else { throw problem }
        }
        return ListenAddress(host: String(host), port: port)
    }

    /// An address or `off`.
    static func parseOptional(_ text: String) throws(ValueProblem) -> ListenAddress? {
        text == "off" ? nil : try self.parse(text)
    }
}
