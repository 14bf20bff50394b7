internal import CLinux
import Glibc

/// A socket that takes connections. Like `Socket`, a name for a descriptor and not its owner.
public struct ListeningSocket: Sendable, Hashable {
    public let socket: Socket
    /// Where it listens, with the real port where 0 was asked for.
    public let address: SocketAddress

    public var descriptor: Int32 { self.socket.descriptor }

    /// What became of `accept()`.
    public enum AcceptResult: Equatable, Sendable {
        case accepted(Socket, peer: SocketAddress)
        /// Nobody is waiting.
        case wouldBlock
        /// No descriptor, or no memory for one, is left. The caller waits in the kernel and the socket stays readable: stop watching it
        /// for a while.
        case tooManyDescriptors
        /// The socket is broken; with the `errno`.
        case failed(Int32)
    }

    /// Takes the next waiting connection: non-blocking, without delay, with the unsent bytes bounded, closed in child processes.
    public func accept() -> AcceptResult {
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
            // accept(2): pending errors of the connection that was waiting come out here. It is gone; the next one is not.
            case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH,
                ENONET, EPERM:
                continue
            default: return .failed(code)
            }
        }
    }
}

extension ListeningSocket {
    /// Listens on `host` (a literal or a name of this machine) and `port` (0 lets the kernel choose), with one socket.
    public static func open(host: String, port: UInt16, backlog: Int32 = 4096) throws(SocketError)
        -> ListeningSocket
    {
        let group = try self.bindGroup(host: host, port: port, count: 1)
        try self.listen(with: group, backlog: backlog)
        return group[0]
    }

    /// Holds an address with `count` sockets, among which the kernel shares the connections: one for each loop. Whoever connects is refused
    /// until `listen(with:)`.
    ///
    /// Sharing (SO_REUSEPORT) also lets a second process in, which would silently take half of the connections. So a socket that
    /// does not share is bound first, fails where anybody listens, and holds the address until ours are bound.
    /// Of a name with several addresses the first that can be bound counts.
    public static func bindGroup(host: String, port: UInt16, count: Int) throws(SocketError)
        -> [ListeningSocket]
    {
        var failure: SocketError?
        for address in try Resolver.resolveBlocking(host: host, port: port) {
            do throws(SocketError) {
                let probe = try self.bind(address, sharesPort: false)
                defer { probe.close() }
                guard let bound = probe.localAddress else {
                    throw .system(call: "getsockname", errno: errno)
                }
                return try self.bindGroup(at: bound, count: count)
            } catch {
                failure = failure ?? error
            }
        }
        throw failure ?? .unresolvable(host: host, reason: "it has no address")
    }

    /// From here on connections come in, and wait for whoever accepts them. Fails where somebody else has begun to listen at the address
    /// since the group holds it: what is held in silence can be held twice. The group is closed then.
    public static func listen(with group: [ListeningSocket], backlog: Int32 = 4096)
        throws(SocketError)
    {
        guard let address = group.first?.address else { return }
        do throws(SocketError) {
            let probe = try self.bind(address, sharesPort: false)
            defer { probe.close() }
            for member in group where Glibc.listen(member.descriptor, backlog) != 0 {
                throw SocketError(call: "listen", errno: errno, address: address)
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

    private static func bind(_ address: SocketAddress, sharesPort share: Bool) throws(SocketError)
        -> Socket
    {
        let socket = try Socket.open(address)
        // Connections of an earlier process that still linger (TIME_WAIT) must not hinder a restart.
        socket.set(SOL_SOCKET, SO_REUSEADDR, to: 1)
        if share { socket.set(SOL_SOCKET, SO_REUSEPORT, to: 1) }
        // Accepted sockets inherit both: two system calls less for each connection.
        socket.setNoDelay()
        socket.setUnsentLowWater()
        guard address.withSystemAddress({ Glibc.bind(socket.descriptor, $0, $1) }) == 0 else {
            let code = errno
            socket.close()
            throw SocketError(call: "bind", errno: code, address: address)
        }
        return socket
    }
}
