public import EventLoop
internal import Glibc

/// Finds an address of a host that accepts connections.
public enum ReachableAddress {
    /// Returns the first address of the host that accepts a connection. A single address is
    /// returned without a test. Blocks for up to `timeout` per address.
    public static func find(host: String, port: UInt16, timeout: Duration = .seconds(5))
        throws(ClientError) -> SocketAddress
    {
        let addresses: [SocketAddress]
        do throws(SocketError) {
            addresses = try Resolver.resolveBlocking(host: host, port: port)
        } catch {
            throw .socket(error, endpoint: host)
        }
        if addresses.count == 1 { return addresses[0] }
        var failure: ClientError?
        for address in addresses {
            do throws(SocketError) {
                try self.probe(address, timeout)
                return address
            } catch {
                failure = .socket(error, endpoint: address.text)
            }
        }
        throw failure ?? .socket(.refused, endpoint: host)
    }

    private static func probe(_ address: SocketAddress, _ timeout: Duration) throws(SocketError) {
        let socket = try Socket.connect(to: address)
        defer { socket.close() }
        var entry = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&entry, 1, Int32(clamping: timeout.wholeNanoseconds / 1_000_000)) > 0 else {
            throw .timedOut
        }
        if let error = socket.connectError { throw error }
    }
}
