internal import Glibc

/// An IPv4 or IPv6 address.
///
/// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) is stored as the IPv4
/// address. A socket that listens on both families reports its IPv4 clients in the mapped form.
public struct IPAddress: Sendable, Hashable, CustomStringConvertible {
    // Two numbers, because a `UInt128` has an alignment of 16 bytes: the address would occupy 32.
    private let upper: UInt64
    private let lower: UInt64
    public let isIPv6: Bool

    /// The address in host byte order. IPv4 uses the lower 32 bits.
    var value: UInt128 { UInt128(self.upper) << 64 | UInt128(self.lower) }

    /// Parses `192.0.2.1` or `2001:db8::1`. Returns nil for any other text, also for an address
    /// with a zone (`%eth0`).
    public init?(_ text: some StringProtocol) {
        let text = String(text)
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(ipv4: UInt32(bigEndian: four.s_addr))
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        self.init(
            ipv6: withUnsafeBytes(of: six) {
                UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self))
            })
    }

    /// Creates an IPv4 address from a number: `0x7F000001` is 127.0.0.1.
    public init(ipv4 value: UInt32) {
        self.init(isIPv6: false, value: UInt128(value))
    }

    /// Creates an IPv6 address from a number, or the IPv4 address if the number is an IPv4-mapped
    /// address.
    public init(ipv6 value: UInt128) {
        if value >> 32 == 0xFFFF {
            self.init(ipv4: UInt32(truncatingIfNeeded: value))
        } else {
            self.init(isIPv6: true, value: value)
        }
    }

    private init(isIPv6: Bool, value: UInt128) {
        self.upper = UInt64(value >> 64)
        self.lower = UInt64(truncatingIfNeeded: value)
        self.isIPv6 = isIPv6
    }

    /// The address without the last 64 bits of an IPv6 address: all addresses of one machine are
    /// in one such network.
    public var network64: IPAddress {
        self.isIPv6 ? IPAddress(isIPv6: true, value: UInt128(self.upper) << 64) : self
    }

    public var isLoopback: Bool {
        self.isIPv6 ? self.value == 1 : self.value >> 24 == 127
    }

    public var description: String {
        guard self.isIPv6 else {
            return [24, 16, 8, 0].map { String(self.value >> $0 & 0xFF) }.joined(separator: ".")
        }
        var six = in6_addr()
        withUnsafeMutableBytes(of: &six) { bytes in
            for index in bytes.indices {
                bytes[index] = UInt8(truncatingIfNeeded: self.value >> UInt128(8 * (15 - index)))
            }
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(AF_INET6, &six, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// A range of addresses with a common prefix, such as `10.0.0.0/8` (RFC 4632), or a single address.
public struct IPNetwork: Sendable, Hashable, CustomStringConvertible {
    public let address: IPAddress
    /// The number of leading bits that all addresses of the network share.
    public let prefixLength: Int

    /// Parses `ADDRESS/BITS` or `ADDRESS`. Returns nil for any other text. A bit set after the
    /// prefix is also rejected, because either the address or the length is then a mistake.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { return nil }
        let width = address.isIPv6 ? 128 : 32
        var length = width
        if parts.count == 2 {
            guard let number = UInt8(parts[1]), number <= width,
                parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) })
            else {
                return nil
            }
            length = Int(number)
        }
        guard length == width || address.value & (UInt128(1) << UInt128(width - length) &- 1) == 0
        else { return nil }
        self.address = address
        self.prefixLength = length
    }

    /// 127.0.0.0/8 and ::1.
    public static let loopback = [IPNetwork("127.0.0.0/8"), IPNetwork("::1")].compactMap(\.self)

    public func contains(_ other: IPAddress) -> Bool {
        guard other.isIPv6 == self.address.isIPv6 else { return false }
        let shift = UInt128((other.isIPv6 ? 128 : 32) - self.prefixLength)
        // Swift's `>>` returns 0 for a shift by the whole width, so a prefix length of 0 contains
        // every address.
        return other.value >> shift == self.address.value >> shift
    }

    public var description: String { "\(self.address)/\(self.prefixLength)" }
}
