import Bytes
import ChatEngine
import ChatModel
import Testing

@testable import ClusterWire

@Suite("Interned keys")
struct KeyInterningTests {
    private static func packet(_ keys: [ConversationKey]) -> [UInt8] {
        NodePacket.bytes([.carrying(keys.map { .recoveryQuery($0) })])
    }

    private static func read(_ keys: [ConversationKey], _ interning: inout KeyInterning) throws
        -> [ConversationKey]
    {
        let packet = try NodePacket(
            self.packet(keys).span.bytes, for: LoopID.far.incarnation, key: .sample,
            interning: &interning)
        return packet.envelopes[0].items.compactMap {
            if case .recoveryQuery(let key) = $0 { key } else { nil }
        }
    }

    @Test(
        "are read as they were written, even beyond the capacity, and with any length")
    func readsBackUnchanged() throws {
        var interning = KeyInterning()
        let many = (0..<10_000).map {
            ConversationKey(tenant: ByteString("t\($0 % 7)"), id: ByteString("room \($0 / 2)"))
        }
        let long = (0..<300).map {
            ConversationKey(tenant: "acme", id: ByteString(String(repeating: "x", count: $0)))
        }
        for keys in [many, many.reversed(), long, long, many] {
            #expect(try Self.read(keys, &interning) == keys)
        }
    }

    @Test("are distinguished by where the tenant ends")
    func tenantBoundary() throws {
        let keys = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")].map {
            ConversationKey(tenant: ByteString($0), id: ByteString($1))
        }
        for first in keys {
            for second in keys {
                // Whatever the second key's index is, the first key is stored there.
                let bytes = Array(
                    [UInt8(second.tenant.byteCount)] + second.tenant.string.utf8 + [
                        UInt8(second.id.byteCount)
                    ] + second.id.string.utf8)
                var interning = KeyInterning()
                bytes.withUnsafeBytes { bytes in
                    interning.store(first, at: interning.index(of: bytes))
                    #expect(
                        interning.key(at: interning.index(of: bytes), in: bytes)
                            == (first == second ? first : nil))
                }
            }
        }
    }

    @Test("are created once, and no bytes beyond their end are read")
    func internedOnce() throws {
        var interning = KeyInterning()
        let key = ConversationKey(tenant: "acme", id: "a room with a name that is not short")
        _ = try Self.read([key], &interning)
        let bytes = Array(
            [4] + key.tenant.string.utf8 + [UInt8(key.id.byteCount)] + key.id.string.utf8)
        for count in 0...bytes.count {
            bytes[..<count].withUnsafeBytes { part in
                let index = bytes.withUnsafeBytes { interning.index(of: $0) }
                #expect(interning.key(at: index, in: part) == (count == bytes.count ? key : nil))
            }
        }
    }
}
