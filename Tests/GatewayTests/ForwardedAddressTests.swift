import EventLoop
import Testing

@testable import Gateway

@Suite("An address from a proxy")
struct ForwardedAddressTests {
    @Test(
        "is parsed with or without a port and brackets",
        arguments: [
            ("203.0.113.7", "203.0.113.7"), (" 203.0.113.7\t", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"), ("[2001:db8::7]:80", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"), ("unknown", nil),
            ("", nil),
            ("_hidden", nil), ("203.0.113", nil), ("[2001:db8::7", nil),
            ("203.0.113.7, 1.2.3.4", nil), ("a:b", nil),
        ] as [(String, String?)])
    func table(text: String, host: String?) {
        #expect(SocketAddress(forwarded: text[...])?.host == host)
        #expect(SocketAddress(forwarded: text[...]).map { $0.port == 0 } ?? true)
    }
}
