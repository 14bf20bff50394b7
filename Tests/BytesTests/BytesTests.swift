import Bytes
import Testing

@Suite("Bytes")
struct BytesTests {
    @Test(
        "numbers are written in decimal",
        arguments: [0, 7, -1, 10, 1_234_567_890, Int.max, Int.min])
    func decimal(number: Int) {
        var buffer = ByteBuffer()
        buffer.append(decimal: number)
        #expect(buffer.text == "\(number)")
    }

    @Test(
        "a buffer appends its own bytes once more",
        arguments: [(0..<0, "abcd"), (0..<4, "abcdabcd"), (1..<3, "abcdbc"), (4..<4, "abcd")]
            as [(Range<Int>, String)])
    func ownBytes(range: Range<Int>, text: String) {
        var buffer = ByteBuffer(Array("abcd".utf8))
        buffer.append(copyOf: range)
        #expect(buffer.text == text)
    }

    @Test("a sorted array is searched for the first element at or above a number")
    func search() {
        for count in 0...9 {
            let even = (0..<count).map { 2 * $0 }
            for number in -1...(2 * count) {
                let index = even.partitioningIndex { $0 >= number }
                #expect(index == even.firstIndex { $0 >= number } ?? count)
            }
        }
    }

    @Test(
        "timestamps are written in RFC 3339 format",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1_769_860_800_123, "2026-01-31T12:00:00.123Z"),
            (951_827_696_999, "2000-02-29T12:34:56.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] as [(Int64, String)])
    func timestamps(milliseconds: Int64, text: String) {
        #expect(Timestamp(milliseconds: milliseconds).text == text)
    }

    @Test("days that do not exist are rejected")
    func days() {
        #expect(CivilDay(year: 2026, month: 2, day: 29) == nil)
        #expect(CivilDay(year: 2024, month: 2, day: 29)?.daysSince1970 == 19_782)
        #expect(CivilDay(year: 2026, month: 13, day: 1) == nil)
        for day in -800_000...800_000 where day % 97 == 0 {
            let civil = CivilDay(daysSince1970: day)
            if (0...9999).contains(civil.year) {
                #expect(CivilDay(year: civil.year, month: civil.month, day: civil.day) == civil)
            }
        }
    }

    @Test("canonically equivalent texts are different ids")
    func bytewiseEquality() {
        #expect("\u{E9}" == "e\u{301}")
        #expect(ByteString("\u{E9}") != ByteString("e\u{301}"))
        #expect(
            Set([ByteString("\u{E9}"), ByteString("e\u{301}"), ByteString("\u{E9}")]).count == 2)
    }

    @Test("base64url encodes and decodes, and rejects text that is not canonical")
    func base64() {
        for length in 0..<40 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 37 + length) }
            #expect(Base64URL.decode(Base64URL.encode(bytes).utf8) == bytes)
        }
        for bad in ["A", "AB==", "AB", "+/==", "a b", "AAAAA"] {
            #expect(Base64URL.decode(bad.utf8) == nil, "\(bad)")
        }
        #expect(Base64URL.decode("AA".utf8) == [0])
    }

    @Test("percent-encoding encodes and decodes, and rejects malformed escapes")
    func percent() {
        #expect(PercentEncoding.decode("a%20b%C3%A9".utf8) == "a bé")
        for bad in ["%", "%2", "%zz", "%FF"] {
            #expect(PercentEncoding.decode(bad.utf8) == nil, "\(bad)")
        }
        #expect(PercentEncoding.encode("a b/é") == "a%20b%2F%C3%A9")
    }

    @Test("the stable hash does not change between versions")
    func stableHash() {
        // Redis keys contain the shard numbers, so another value would orphan every stored
        // conversation.
        #expect(StableHash.of("default", "1") == StableHash.of("default", "1"))
        #expect(StableHash.of("default", "1") != StableHash.of("default1", ""))
        #expect(
            StableHash.fnv1a(UnsafeBufferPointer(start: nil, count: 0)) == 0xCBF2_9CE4_8422_2325)
        var counts = [Int](repeating: 0, count: 4096)
        for id in 0..<409_600 {
            counts[Int(StableHash.of("default", ByteString("\(id)")) % 4096)] += 1
        }
        #expect(counts.max()! < 160 && counts.min()! > 50)
    }

    @Test("a shared frame contains the bytes it was created with")
    func frames() {
        let frame = SharedFrame([1, 2, 3])
        #expect(frame.count == 3)
        #expect(frame.withBytes { Array($0) } == [1, 2, 3])
    }
}
