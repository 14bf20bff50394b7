public import EventLoop
internal import Glibc

/// Finds out where a host really listens, by connecting once.
public enum ReachableAddress {
    /// The first of the host's addresses that takes a connection; of one alone nothing is asked. Waits, for a few seconds at most for each.
    public static func find(host: String, port: UInt16, timeout patience: Duration = .seconds(5))
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
                try self.probe(address, patience)
                return address
            } catch {
                failure = .socket(error, endpoint: address.text)
            }
        }
        throw failure ?? .socket(.refused, endpoint: host)
    }

    private static func probe(_ address: SocketAddress, _ patience: Duration) throws(SocketError) {
        let socket = try Socket.connect(to: address)
        defer { socket.close() }
        var entry = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&entry, 1, Int32(clamping: patience.wholeNanoseconds / 1_000_000)) > 0 else {
            throw .timedOut
        }
        if let error = socket.connectError { throw error }
    }
}
