import Bytes
import Testing

@Suite("IP addresses")
struct IPAddressTests {
    @Test(
        "parse the text that they write",
        arguments: [
            "127.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "::", "2001:db8::1", "fe80::ff",
        ])
    func roundTrip(text: String) {
        #expect(IPAddress(text)?.description == text)
    }

    @Test("of IPv4 are equal to their IPv4-mapped form")
    func mapped() {
        #expect(IPAddress("::ffff:192.0.2.1") == IPAddress("192.0.2.1"))
    }

    @Test("can be created from numbers in host byte order")
    func numbers() {
        #expect(IPAddress(ipv4: 0xC000_0201) == IPAddress("192.0.2.1"))
        #expect(IPAddress(ipv6: 0xFFFF_C000_0201) == IPAddress("192.0.2.1"))
        #expect(IPAddress(ipv6: 0x2001_0DB8 << 96 | 1) == IPAddress("2001:db8::1"))
    }

    @Test(
        "reject text that is not an address",
        arguments: [
            "", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", ":::", "fe80::1%eth0",
            "1.2.3.4 ",
        ])
    func rejected(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(
        "recognize loopback",
        arguments: [
            ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("128.0.0.1", false),
            ("::2", false), ("::", false),
        ])
    func loopback(text: String, isLoopback: Bool) throws {
        let address = try #require(IPAddress(text))
        #expect(address.isLoopback == isLoopback)
        #expect(IPNetwork.loopback.contains { $0.contains(address) } == isLoopback)
    }

    @Test(
        "belong to a network with the same prefix",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::a00:1", false),
            ("0.0.0.0/0", "203.0.113.9", true), ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ])
    func networks(network: String, address: String, isInside: Bool) throws {
        #expect(
            try #require(IPNetwork(network)).contains(try #require(IPAddress(address))) == isInside)
    }

    @Test(
        "reject text that is not a network",
        arguments: [
            "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/+8",
            "10.0.0.0/8/8", "/8",
        ])
    func rejectedNetwork(text: String) {
        #expect(IPNetwork(text) == nil)
    }
}
