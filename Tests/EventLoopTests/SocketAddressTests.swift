import Bytes
import EventLoop
import TestTraits
import Testing

@Suite("A socket address", .ownThread)
struct SocketAddressTests {
    @Test(
        "is written in the usual notation",
        arguments: [
            ("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"),
            ("2001:DB8:0:0::7", "[2001:db8::7]:80"),
            ("::ffff:192.0.2.1", "192.0.2.1:80"),
        ])
    func text(literal: String, text: String) {
        #expect(SocketAddress(literal: literal, port: 80)?.text == text)
        #expect(SocketAddress(literal: literal, port: 80)?.ip == IPAddress(literal))
    }

    @Test(
        "does not accept a name or an incomplete address",
        arguments: ["localhost", "", "1.2.3", "1.2.3.4.5", "[::1]", "::g"])
    func noLiteral(host: String) {
        #expect(SocketAddress(literal: host, port: 80) == nil)
    }

    @Test("is equal only to itself")
    func equality() {
        let addresses = ["127.0.0.1", "127.0.0.2", "::1", "::2"].flatMap { host in
            [1, 2].map { SocketAddress(literal: host, port: $0)! }
        }
        #expect(Set(addresses).count == 8)
    }

    @Test("is resolved by name, and the answer arrives on the loop")
    func resolve() async throws {
        let loop = try EventLoop.start(name: "names")
        defer { loop.stopAndJoin() }
        let find = { @Sendable (host: String, port: UInt16) async throws -> [SocketAddress] in
            try await withCheckedContinuation { found in
                loop.execute {
                    Resolver.resolve(host: host, port: port, on: loop) {
                        #expect(loop.isCurrent)
                        found.resume(returning: $0)
                    }
                }
            }.get()
        }
        let addresses = try await find("localhost", 7)
        #expect(addresses.contains { $0.host == "127.0.0.1" || $0.host == "::1" })
        #expect(addresses.allSatisfy { $0.port == 7 })
        #expect(try await find("192.0.2.9", 1).map(\.text) == ["192.0.2.9:1"])
        await #expect(throws: SocketError.self) { try await find("no such name", 1) }
    }
}
