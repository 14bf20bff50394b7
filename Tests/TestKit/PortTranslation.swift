/// Replaces port numbers in the replies of servers that tell clients each other's addresses: Redis
/// Sentinel and Redis Cluster. So a client reaches all of them through proxies.
///
/// It replaces a number of five digits if it is one of the ports and follows an address or the word
/// `port`. Anywhere else it may be a part of the data. All ports have five digits, so the length of
/// a reply remains. A number that is divided between two packets, or from its address, is not
/// replaced: the client may then use a server without its proxy.
public struct PortTranslation: Sendable {
    private var replacements: [UInt32: [UInt8]] = [:]

    /// The bytes in front of a port, in texts, redirections and arrays of RESP2.
    private static let beginnings = [
        "127.0.0.1:", "127.0.0.1 ", "127.0.0.1\r\n:", "127.0.0.1\r\n$5\r\n", "port=",
        "port\r\n:", "port\r\n$5\r\n",
    ].map { Array($0.utf8) }

    /// Replaces nothing.
    public init() {}

    /// - Parameter ports: the ports of the proxies by the ports of their servers. Ports below
    ///   10,000 are an error of the test.
    public init(_ ports: [UInt16: UInt16]) {
        for (server, proxy) in ports {
            precondition(min(server, proxy) >= 10_000, "a port with fewer than five digits")
            self.replacements[UInt32(server)] = Array("\(proxy)".utf8)
        }
    }

    func apply(to bytes: inout ArraySlice<UInt8>) {
        guard !self.replacements.isEmpty else { return }
        var number: UInt32 = 0
        var digitCount = 0
        for index in bytes.indices {
            if (0x30...0x39).contains(bytes[index]) {
                digitCount += 1
                if digitCount <= 5 { number = number * 10 + UInt32(bytes[index] - 0x30) }
                guard index == bytes.indices.last else { continue }
            }
            if digitCount == 5, let replacement = self.replacements[number] {
                let end = (0x30...0x39).contains(bytes[index]) ? index + 1 : index
                let before = bytes[..<(end - 5)]
                if Self.beginnings.contains(where: { before.suffix($0.count).elementsEqual($0) }) {
                    bytes.replaceSubrange(end - 5..<end, with: replacement)
                }
            }
            (number, digitCount) = (0, 0)
        }
    }
}
