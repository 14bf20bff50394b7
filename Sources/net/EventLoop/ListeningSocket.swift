internal import CLinux
import Glibc

/// A listening socket. Like `Socket`, it refers to a descriptor and does not own it.
public struct ListeningSocket: Sendable, Hashable {
    public let socket: Socket
    /// The address on which it listens. If port 0 was requested, this contains the real port.
    public let address: SocketAddress

    public var descriptor: Int32 { self.socket.descriptor }

    /// The result of `accept()`.
    public enum AcceptResult: Equatable, Sendable {
        case accepted(Socket, peer: SocketAddress)
        /// No connection is waiting.
        case wouldBlock
        /// The process has no descriptor, or no memory for one, left. The connection stays in the
        /// kernel's queue and the socket stays readable, so stop watching it for a while.
        case tooManyDescriptors
        /// The socket is broken. The value is the `errno`.
        case failed(Int32)
    }

    /// Accepts the next connection. The new socket is non-blocking, has TCP_NODELAY and a bound on
    /// unsent bytes, and is closed in child processes.
    public func accept() -> AcceptResult {
        if self.socket.isSimulated { return self.socket.port.accept(self.descriptor) }
        while true {
            var descriptor: Int32 = -1
            let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            var code: Int32 = 0
            let peer = SocketAddress { address, length in
                descriptor = confab_accept4(self.descriptor, address, length, flags)
                code = errno
            }
            if descriptor >= 0 {
                if let peer { return .accepted(Socket(descriptor: descriptor), peer: peer) }
                Socket(descriptor: descriptor).close()
                continue
            }
            switch code {
            case EAGAIN: return .wouldBlock
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .tooManyDescriptors
            // accept(2) reports pending errors of the waiting connection here. That connection is
            // gone, so try the next one.
            case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH,
                ENONET, EPERM:
                continue
            default: return .failed(code)
            }
        }
    }
}

extension ListeningSocket {
    /// Listens with one socket on `host` (a literal or a name of this machine) and `port` (0 lets
    /// the kernel choose).
    public static func open(host: String, port: UInt16, backlog: Int32 = 4096) throws(SocketError)
        -> ListeningSocket
    {
        let group = try self.bindGroup(host: host, port: port, count: 1)
        try self.listen(with: group, backlog: backlog)
        return group[0]
    }

    /// Binds `count` sockets to one address, one per loop. The kernel distributes the connections
    /// among them. Until `listen(with:)`, clients are refused.
    ///
    /// SO_REUSEPORT also allows a second process to bind, and it would silently receive half of the
    /// connections. Therefore a socket without this option is bound first. It fails if another
    /// process listens, and it reserves the address until the group is bound.
    ///
    /// If a name has several addresses, the first one that can be bound is used.
    public static func bindGroup(host: String, port: UInt16, count: Int) throws(SocketError)
        -> [ListeningSocket]
    {
        var failure: SocketError?
        for address in try Resolver.resolveBlocking(host: host, port: port) {
            do throws(SocketError) {
                let probe = try self.reserve(address)
                defer { probe.close() }
                return try self.bindGroup(at: self.localAddress(of: probe), count: count)
            } catch {
                failure = failure ?? error
            }
        }
        throw failure ?? .unresolvable(host: host, reason: "it has no address")
    }

    /// Binds a socket to the address, or to a port that no socket has if its port is 0.
    ///
    /// With SO_REUSEADDR the kernel may choose a port that another process has bound and does not
    /// listen on yet. So the socket gets the option only after it has a port. It needs the option
    /// because the group is bound while it exists.
    private static func reserve(_ address: SocketAddress) throws(SocketError) -> Socket {
        let probe = try self.bind(address, sharesPort: false, reusesAddress: address.port != 0)
        probe.set(SOL_SOCKET, SO_REUSEADDR, to: 1)
        return probe
    }

    private static func localAddress(of socket: Socket) throws(SocketError) -> SocketAddress {
        guard let address = socket.localAddress else {
            throw .system(call: "getsockname", errno: errno)
        }
        return address
    }

    /// Starts listening with a bound group. New connections wait until they are accepted.
    ///
    /// Fails and closes the group if another process has started to listen at the address. This is
    /// possible because two groups can be bound to the same address as long as neither listens.
    public static func listen(with group: [ListeningSocket], backlog: Int32 = 4096)
        throws(SocketError)
    {
        guard let address = group.first?.address else { return }
        do throws(SocketError) {
            let probe = try self.bind(address, sharesPort: false)
            defer { probe.close() }
            for member in group {
                let code = member.socket.beginListening(backlog: backlog)
                guard code == 0 else {
                    throw SocketError(call: "listen", errno: code, address: address)
                }
            }
        } catch {
            for member in group { member.socket.close() }
            throw error
        }
    }

    private static func bindGroup(at address: SocketAddress, count: Int) throws(SocketError)
        -> [ListeningSocket]
    {
        var group: [ListeningSocket] = []
        do throws(SocketError) {
            for _ in 0..<count {
                group.append(
                    ListeningSocket(
                        socket: try self.bind(address, sharesPort: true), address: address))
            }
        } catch {
            for member in group { member.socket.close() }
            throw error
        }
        return group
    }

    private static func bind(
        _ address: SocketAddress, sharesPort: Bool, reusesAddress: Bool = true
    ) throws(SocketError) -> Socket {
        let socket = try Socket.open(address)
        // Connections of an earlier process in TIME_WAIT must not prevent a restart.
        if reusesAddress { socket.set(SOL_SOCKET, SO_REUSEADDR, to: 1) }
        if sharesPort { socket.set(SOL_SOCKET, SO_REUSEPORT, to: 1) }
        // Accepted sockets inherit both options, which saves two system calls per connection.
        socket.setNoDelay()
        socket.setUnsentLowWater()
        let code = socket.bind(to: address)
        guard code == 0 else {
            socket.close()
            throw SocketError(call: "bind", errno: code, address: address)
        }
        return socket
    }
}

extension Socket {
    /// Returns 0 or the `errno`.
    fileprivate func bind(to address: SocketAddress) -> Int32 {
        if self.isSimulated { return self.port.bind(self.descriptor, to: address) }
        let result = address.withSystemAddress { Glibc.bind(self.descriptor, $0, $1) }
        return result == 0 ? 0 : errno
    }

    /// Returns 0 or the `errno`.
    fileprivate func beginListening(backlog: Int32) -> Int32 {
        if self.isSimulated { return self.port.listen(self.descriptor) }
        return Glibc.listen(self.descriptor, backlog) == 0 ? 0 : errno
    }
}
