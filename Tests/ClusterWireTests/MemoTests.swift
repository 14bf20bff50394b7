import Bytes
import RepeatableChance
import Testing

@testable import ClusterWire

@Suite("A memo between nodes")
struct MemoTests {
    private static let memo = Memo(.question, from: 7, to: UInt64.max, id: 1 << 40, topic: "node", body: #"{"grüße":[1,2]}"#)

    private static func bytes(_ memo: Memo = Self.memo, key: ClusterKey = .sample) -> [UInt8] {
        var buffer = ByteBuffer()
        memo.write(to: &buffer, key: key)
        return buffer.bytes
    }

    private static func read(_ bytes: [UInt8], for receiver: UInt64 = .max, key: ClusterKey = .sample) throws(ParcelError) -> Memo {
        try Memo(bytes.span.bytes, for: receiver, key: key)
    }

    @Test("is read as it was written, and is no parcel")
    func roundTrip() throws {
        let answer = Memo(.answer, from: 1, to: .max, id: 0, topic: "", body: "")
        for memo in [Self.memo, answer] { #expect(try Self.read(Self.bytes(memo)) == memo) }
        let (marked, parcel) = (Self.bytes(), Parcel.bytes([]))
        let areMarked = [Memo.isMarked(marked.span.bytes), Memo.isMarked(parcel.span.bytes)]
        #expect(areMarked == [true, false])
        #expect(throws: ParcelError.otherVersion(UInt8(ascii: "M"))) { try Parcel.read(Self.bytes()) }
        #expect(throws: ParcelError.otherVersion(1)) { try Self.read([1] + Self.bytes().dropFirst()) }
    }

    @Test("is refused with any bit changed, cut at any byte, with another key, and by whom it is not for")
    func refusals() {
        let bytes = Self.bytes()
        for place in bytes.indices.dropFirst() {
            var changed = bytes
            changed[place] ^= 1
            #expect(throws: ParcelError.notAuthentic) { try Self.read(changed) }
        }
        for count in bytes.indices {
            let expected: ParcelError = count < Memo.headerBytes + Parcel.codeBytes ? .tooShort : .notAuthentic
            #expect(throws: expected) { try Self.read(Array(bytes[..<count])) }
        }
        #expect(throws: ParcelError.notAuthentic) { try Self.read(bytes, key: .other) }
        #expect(throws: ParcelError.forAnother(.max)) { try Self.read(bytes, for: 3) }
        #expect(throws: ParcelError.tooLong(limit: Memo.byteLimit)) {
            try Self.read([UInt8](repeating: Memo.mark, count: Memo.byteLimit + 1))
        }
    }

    @Test("that somebody with the key has written wrongly is refused, and crashes nobody")
    func hostile() {
        let whole = Self.bytes().dropLast(Parcel.codeBytes)
        var chance = SeededGenerator(seed: 11)
        for _ in 0..<2000 {
            var content = Array(whole)
            for _ in 0..<Int.random(in: 1...4, using: &chance) {
                content[Int.random(in: 1..<content.count, using: &chance)] = UInt8.random(in: 0...255, using: &chance)
            }
            var buffer = ByteBuffer(content)
            ClusterKey.sample.seal(&buffer, from: 0)
            _ = try? Self.read(buffer.bytes)
        }
        var unknown = ByteBuffer([Memo.mark, 9] + whole.dropFirst(2))
        ClusterKey.sample.seal(&unknown, from: 0)
        #expect(throws: ParcelError.unknownFlags(9)) { try Self.read(unknown.bytes) }
    }

    @Test("is sent only where its reader would take it")
    func size() throws {
        let largest = Memo(.answer, from: 1, to: .max, id: 1, topic: "t", body: String(repeating: "x", count: Memo.byteLimit - 154))
        #expect(largest.fits)
        #expect(try Self.read(Self.bytes(largest)) == largest)
        #expect(!Memo(.answer, from: 1, to: 2, id: 1, topic: "t", body: largest.body + "x").fits)
        #expect(!Memo(.answer, from: 1, to: 2, id: 1, topic: String(repeating: "t", count: 65), body: "").fits)
    }
}
