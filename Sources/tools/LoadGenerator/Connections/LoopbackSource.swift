import EventLoop
internal import Glibc

/// Opens connections from several loopback addresses.
///
/// One address has 28,000 ports for one destination (`net.ipv4.ip_local_port_range`), and ports of
/// an earlier run may still be in TIME_WAIT. Every address in 127/8 is local, so members rotate
/// over eight of them.
enum LoopbackSource {
    static let addressCount = 8

    static func connect(to address: SocketAddress, member: Int) throws(SocketError) -> Socket {
        guard address.family == .ipv4, address.host.hasPrefix("127.") else {
            return try Socket.connect(to: address)
        }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(AF_INET, kind, 0)
        guard descriptor >= 0 else {
            throw errno == EMFILE || errno == ENFILE
                ? .tooManyDescriptors : .system(call: "socket", errno: errno)
        }
        // The kernel chooses the port at connect, so that one port can serve several destinations
        // (ip(7)).
        var on: Int32 = 1
        setsockopt(
            descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &on,
            socklen_t(MemoryLayout<Int32>.size))
        var source = Self.address("127.0.0.\(1 + member % Self.addressCount)", port: 0)
        var target = Self.address(address.host, port: address.port)
        guard Self.call(Glibc.bind, descriptor, &source) == 0,
            Self.call(Glibc.connect, descriptor, &target) == 0 || errno == EINPROGRESS
        else {
            let code = errno
            Socket(descriptor: descriptor).close()
            throw code == ECONNREFUSED ? .refused : .system(call: "connect", errno: code)
        }
        return Socket(descriptor: descriptor)
    }

    private static func address(_ host: String, port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        return address
    }

    private static func call(
        _ function: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32, _ descriptor: Int32,
        _ address: inout sockaddr_in
    ) -> Int32 {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
