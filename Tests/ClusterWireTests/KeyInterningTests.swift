import Bytes
import ChatModel
import Cluster
import Testing

@testable import ClusterWire

@Suite("Interned keys")
struct KeyInterningTests {
    private static func packet(_ keys: [ConversationKey]) -> [UInt8] {
        NodePacket.bytes([.carrying(keys.map { .recoveryQuery($0) })])
    }

    private static func read(_ keys: [ConversationKey], _ known: inout KeyInterning) throws
        -> [ConversationKey]
    {
        let parcel = try NodePacket(
            self.packet(keys).span.bytes, for: LoopID.far.incarnation, key: .sample,
            interning: &known)
        return parcel.envelopes[0].items.compactMap {
            if case .recoveryQuery(let key) = $0 { key } else { nil }
        }
    }

    @Test(
        "are read as they were written, even beyond the capacity, and with any length")
    func readsBackUnchanged() throws {
        var known = KeyInterning()
        let many = (0..<10_000).map {
            ConversationKey(tenant: ByteString("t\($0 % 7)"), id: ByteString("room \($0 / 2)"))
        }
        let long = (0..<300).map {
            ConversationKey(tenant: "acme", id: ByteString(String(repeating: "x", count: $0)))
        }
        for keys in [many, many.reversed(), long, long, many] {
            #expect(try Self.read(keys, &known) == keys)
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
                var known = KeyInterning()
                bytes.withUnsafeBytes { bytes in
                    known.store(first, at: known.index(of: bytes))
                    #expect(
                        known.key(at: known.index(of: bytes), in: bytes)
                            == (first == second ? first : nil))
                }
            }
        }
    }

    @Test("are created once, and no bytes beyond their end are read")
    func internedOnce() throws {
        var known = KeyInterning()
        let key = ConversationKey(tenant: "acme", id: "a room with a name that is not short")
        _ = try Self.read([key], &known)
        let bytes = Array(
            [4] + key.tenant.string.utf8 + [UInt8(key.id.byteCount)] + key.id.string.utf8)
        for count in 0...bytes.count {
            bytes[..<count].withUnsafeBytes { part in
                let place = bytes.withUnsafeBytes { known.index(of: $0) }
                #expect(known.key(at: place, in: part) == (count == bytes.count ? key : nil))
            }
        }
    }
}
