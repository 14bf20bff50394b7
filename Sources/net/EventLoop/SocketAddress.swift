public import Bytes
import Glibc

/// An IPv4 or IPv6 address with a port. It takes 32 bytes and needs no allocation.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    public enum Family: UInt8, Sendable { case ipv4, ipv6 }

    /// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`), as an IPv6 socket reports it, is stored
    /// and written as IPv4.
    public let family: Family
    public let port: UInt16
    /// The interface of a link-local IPv6 address, otherwise 0.
    private let scope: UInt32
    /// The address in network byte order. IPv4 uses the first four bytes.
    private let bytes: (UInt64, UInt64)

    /// Parses a literal such as `127.0.0.1` or `::1`. Returns nil for a name.
    public init?(literal host: String, port: UInt16) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, host, &v4) == 1 {
            self.init(v4, port: port)
        } else if inet_pton(AF_INET6, host, &v6) == 1 {
            self.init(v6, port: port, scope: 0)
        } else {
            return nil
        }
    }

    /// The address without the port: `192.0.2.1`, `2001:db8::1`.
    public var host: String {
        withUnsafeBytes(of: self.bytes) { bytes in
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
                let family = self.family == .ipv4 ? AF_INET : AF_INET6
                inet_ntop(family, bytes.baseAddress!, text.baseAddress!, socklen_t(text.count))
                return String(cString: text.baseAddress!)
            }
        }
    }

    /// The address without the port, to compare it with networks.
    public var ip: IPAddress {
        withUnsafeBytes(of: self.bytes) { bytes in
            switch self.family {
            case .ipv4: IPAddress(ipv4: UInt32(bigEndian: bytes.load(as: UInt32.self)))
            case .ipv6: IPAddress(ipv6: UInt128(bigEndian: bytes.loadUnaligned(as: UInt128.self)))
            }
        }
    }

    /// The address with the port: `192.0.2.1:80`, `[2001:db8::1]:80`.
    public var text: String {
        self.family == .ipv4 ? "\(self.host):\(self.port)" : "[\(self.host)]:\(self.port)"
    }

    public var description: String { self.text }

    public func with(port: UInt16) -> SocketAddress {
        SocketAddress(family: self.family, port: port, scope: self.scope, bytes: self.bytes)
    }

    public static func == (left: SocketAddress, right: SocketAddress) -> Bool {
        left.family == right.family && left.port == right.port && left.scope == right.scope
            && left.bytes == right.bytes
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.family)
        hasher.combine(self.port)
        hasher.combine(self.scope)
        hasher.combine(self.bytes.0)
        hasher.combine(self.bytes.1)
    }
}

extension SocketAddress {
    private init(family: Family, port: UInt16, scope: UInt32, bytes: (UInt64, UInt64)) {
        self.family = family
        self.port = port
        self.scope = scope
        self.bytes = bytes
    }

    private init(_ address: in_addr, port: UInt16) {
        var bytes: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &bytes) { $0.storeBytes(of: address.s_addr, as: UInt32.self) }
        self.init(family: .ipv4, port: port, scope: 0, bytes: bytes)
    }

    private init(_ address: in6_addr, port: UInt16, scope: UInt32) {
        let words = withUnsafeBytes(of: address) {
            $0.loadUnaligned(as: (UInt32, UInt32, UInt32, UInt32).self)
        }
        if words.0 == 0, words.1 == 0, words.2 == UInt32(0xFFFF).bigEndian {
            self.init(in_addr(s_addr: words.3), port: port)
        } else {
            let bytes = withUnsafeBytes(of: address) { $0.loadUnaligned(as: (UInt64, UInt64).self) }
            self.init(family: .ipv6, port: port, scope: scope, bytes: bytes)
        }
    }

    /// Creates an address from a call such as `getsockname` that fills it in. Returns nil for other
    /// families than IPv4 and IPv6.
    init?(filledBy call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Void)
    {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let address: SocketAddress? = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call($0, &length)
                return SocketAddress($0)
            }
        }
        guard let address else { return nil }
        self = address
    }

    /// Returns nil if `address` is null or its family is neither IPv4 nor IPv6.
    init?(_ address: UnsafePointer<sockaddr>?) {
        guard let address else { return nil }
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let v4 = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
            self.init(v4.sin_addr, port: UInt16(bigEndian: v4.sin_port))
        case AF_INET6:
            let v6 = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self)
            self.init(v6.sin6_addr, port: UInt16(bigEndian: v6.sin6_port), scope: v6.sin6_scope_id)
        default:
            return nil
        }
    }

    var systemFamily: Int32 { self.family == .ipv4 ? AF_INET : AF_INET6 }

    /// Calls `body` with the address in the kernel's format, which is valid only during the call.
    func withSystemAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        func call<T>(_ address: T) -> R {
            withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<T>.size))
                }
            }
        }
        switch self.family {
        case .ipv4:
            var v4 = sockaddr_in()
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = self.port.bigEndian
            v4.sin_addr.s_addr = withUnsafeBytes(of: self.bytes) { $0.load(as: UInt32.self) }
            return call(v4)
        case .ipv6:
            var v6 = sockaddr_in6()
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = self.port.bigEndian
            v6.sin6_scope_id = self.scope
            v6.sin6_addr = withUnsafeBytes(of: self.bytes) { $0.load(as: in6_addr.self) }
            return call(v6)
        }
    }
}
