internal import Bytes

/// The address of a Redis server.
public struct RedisEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// A host name or an address; IPv6 without brackets.
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    public var description: String {
        "\(HostPort.bracketed(self.host)):\(self.port)"
    }
}
