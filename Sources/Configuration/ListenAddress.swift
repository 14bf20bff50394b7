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
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }

    static func parse(_ text: String) throws(ValueProblem) -> ListenAddress {
        let problem = ValueProblem("\(text.quoted) is not HOST:PORT")
        guard let colon = text.lastIndex(of: ":") else { throw problem }
        let digits = text[text.index(after: colon)...]
        var host = text[..<colon]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits)
        else { throw problem }
        if host.isEmpty || host == "*" {
            throw ValueProblem(
                """
                \(text.quoted) is not HOST:PORT; for all interfaces use 0.0.0.0:\(port) or \
                [::]:\(port)
                """
            )
        }
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { throw problem }
            host = host.dropFirst().dropLast()
            guard IPAddress(host)?.isIPv6 == true else { throw problem }
        } else {
            // Without brackets it is unclear where an IPv6 address ends and the port begins.
            if host.contains(":") {
                throw ValueProblem("\(text.quoted) is not HOST:PORT; write IPv6 as [ADDRESS]:PORT")
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
