internal import Glibc

/// An address of IPv4 or IPv6.
///
/// An IPv4 address that came wrapped in IPv6 (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) is the IPv4 address: a socket
/// that listens on both families names its clients that way, and they are the same clients.
public struct IPAddress: Sendable, Hashable, CustomStringConvertible {
    public let isIPv6: Bool
    /// The address in host byte order; IPv4 in the lower 32 bits.
    let value: UInt128

    /// Reads `192.0.2.1` or `2001:db8::1`; nil for anything else, a zone (`%eth0`) included.
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

    /// The IPv4 address of this number: `0x7F000001` is 127.0.0.1.
    public init(ipv4 value: UInt32) {
        self.init(isIPv6: false, value: UInt128(value))
    }

    /// The IPv6 address of this number, or the IPv4 address that is wrapped in it.
    public init(ipv6 value: UInt128) {
        if value >> 32 == 0xFFFF {
            self.init(ipv4: UInt32(truncatingIfNeeded: value))
        } else {
            self.init(isIPv6: true, value: value)
        }
    }

    private init(isIPv6: Bool, value: UInt128) {
        self.isIPv6 = isIPv6
        self.value = value
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

/// Addresses that begin alike: `10.0.0.0/8` (RFC 4632), or a single one.
public struct IPNetwork: Sendable, Hashable, CustomStringConvertible {
    public let address: IPAddress
    /// How many bits its addresses have in common.
    public let prefixLength: Int

    /// Reads `ADDRESS/BITS` or `ADDRESS`; nil for anything else, and when a bit behind the prefix is set, which would be a
    /// mistake in one of the two.
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
        // Swift's >> gives 0 for a shift by the whole width, as it must here.
        return other.value >> shift == self.address.value >> shift
    }

    public var description: String { "\(self.address)/\(self.prefixLength)" }
}
