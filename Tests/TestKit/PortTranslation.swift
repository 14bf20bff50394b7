import Foundation

/// Replaces port numbers in the replies of servers that tell clients each other's addresses: Redis
/// Sentinel and Redis Cluster. So a client reaches all of them through proxies.
///
/// It replaces a number of five digits if it is one of the ports and follows an address or the word
/// `port`. Anywhere else it may be a part of the data. All ports have five digits, so the length of
/// a reply remains. A number that is divided between two packets, or from its address, is not
/// replaced: the client may then use a server without its proxy.
public struct PortTranslation: Sendable {
    /// The ports of the proxies by the ports of their servers, as digits.
    private var replacements: [Data: Data] = [:]

    /// The bytes in front of a port, in texts, redirections and arrays of RESP2.
    private static let beginnings = [
        "127.0.0.1:", "127.0.0.1 ", "127.0.0.1\r\n:", "127.0.0.1\r\n$5\r\n", "port=",
        "port\r\n:", "port\r\n$5\r\n",
    ].map { Data($0.utf8) }

    /// Replaces nothing.
    public init() {}

    /// - Parameter ports: the ports of the proxies by the ports of their servers. Ports below
    ///   10,000 are an error of the test.
    public init(_ ports: [UInt16: UInt16]) {
        for (server, proxy) in ports {
            precondition(min(server, proxy) >= 10_000, "a port with fewer than five digits")
            self.replacements[Data("\(server)".utf8)] = Data("\(proxy)".utf8)
        }
    }

    func apply(to bytes: inout ArraySlice<UInt8>) {
        guard !self.replacements.isEmpty else { return }
        // A loop of our own is too slow for a page of history, because tests are not optimised and
        // may run under a sanitizer.
        let data = Data(bytes)
        for beginning in Self.beginnings {
            var end = 0
            while let found = data.range(of: beginning, in: end..<data.count) {
                end = found.upperBound
                let digits = data[end...].prefix(6).prefix { (0x30...0x39).contains($0) }
                guard let replacement = self.replacements[digits] else { continue }
                let start = bytes.startIndex + end
                bytes.replaceSubrange(start..<start + digits.count, with: replacement)
            }
        }
    }
}
