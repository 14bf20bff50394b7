import Bytes
import ChatModel
import Cluster
import Testing

@testable import ClusterWire

@Suite("Names that were read before")
struct KnownKeysTests {
    private static func parcel(_ keys: [ConversationKey]) -> [UInt8] { Parcel.bytes([.carrying(keys.map { .wanted($0) })]) }

    private static func read(_ keys: [ConversationKey], _ known: inout KnownKeys) throws -> [ConversationKey] {
        let parcel = try Parcel(
            self.parcel(keys).span.bytes, for: OwnerID.far.incarnation, key: .sample, known: &known)
        return parcel.envelopes[0].items.compactMap { if case .wanted(let key) = $0 { key } else { nil } }
    }

    @Test("are what was written, also where there are more than are kept, and whatever their length")
    func same() throws {
        var known = KnownKeys()
        let many = (0..<10_000).map { ConversationKey(tenant: ByteString("t\($0 % 7)"), id: ByteString("room \($0 / 2)")) }
        let long = (0..<300).map { ConversationKey(tenant: "acme", id: ByteString(String(repeating: "x", count: $0))) }
        for keys in [many, many.reversed(), long, long, many] { #expect(try Self.read(keys, &known) == keys) }
    }

    @Test("are told apart by where the tenant ends")
    func boundary() throws {
        let keys = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")].map { ConversationKey(tenant: ByteString($0), id: ByteString($1)) }
        for first in keys {
            for second in keys {
                // Whichever place the second has, the first stands there.
                let bytes = Array(
                    [UInt8(second.tenant.byteCount)] + second.tenant.string.utf8 + [UInt8(second.id.byteCount)] + second.id.string.utf8)
                var known = KnownKeys()
                bytes.withUnsafeBytes { bytes in
                    known.keep(first, at: known.place(of: bytes))
                    #expect(known.key(at: known.place(of: bytes), in: bytes) == (first == second ? first : nil))
                }
            }
        }
    }

    @Test("are made once, and no bytes are read beyond their end")
    func once() throws {
        var known = KnownKeys()
        let key = ConversationKey(tenant: "acme", id: "a room with a name that is not short")
        _ = try Self.read([key], &known)
        let bytes = Array([4] + key.tenant.string.utf8 + [UInt8(key.id.byteCount)] + key.id.string.utf8)
        for count in 0...bytes.count {
            bytes[..<count].withUnsafeBytes { part in
                let place = bytes.withUnsafeBytes { known.place(of: $0) }
                #expect(known.key(at: place, in: part) == (count == bytes.count ? key : nil))
            }
        }
    }
}
