import Bytes
import CHiredis
import Glibc
import SeededRandom
import Testing

@testable import RedisClient

@Suite("Commands")
struct CommandWriterTests {
    private static func written(_ write: (inout RedisCommandWriter) -> Void) -> [UInt8] {
        var writer = RedisCommandWriter(into: ByteBuffer([1, 2, 3]))
        write(&writer)
        let bytes = writer.finish().bytes
        #expect(bytes.starts(with: [1, 2, 3]))
        return Array(bytes.dropFirst(3))
    }

    /// The same command as hiredis encodes it.
    private static func expected(_ arguments: [[UInt8]]) -> [UInt8] {
        var target: UnsafeMutablePointer<CChar>?
        let copies = arguments.map { argument in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: max(argument.count, 1))
            for (index, byte) in argument.enumerated() { copy[index] = CChar(bitPattern: byte) }
            return copy
        }
        defer { for copy in copies { copy.deallocate() } }
        var pointers = copies.map { UnsafePointer<CChar>?($0) }
        let lengths = arguments.map(\.count)
        let count = redisFormatCommandArgv(&target, Int32(arguments.count), &pointers, lengths)
        defer { redisFreeCommand(target) }
        return (0..<Int(count)).map { UInt8(bitPattern: target![$0]) }
    }

    @Test("are encoded as hiredis encodes them", arguments: 0..<20)
    func oracle(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            let arguments = (0..<generator.number(1...130)).map { _ in
                (0..<generator.next(below: 40)).map { _ in
                    UInt8(truncatingIfNeeded: generator.next())
                }
            }
            #expect(
                Self.written { for argument in arguments { $0.append(argument) } }
                    == Self.expected(arguments))
        }
    }

    @Test("have arguments of every kind")
    func kinds() {
        let script = RedisScript("return 1")
        let bytes = Self.written {
            $0.append("SET")
            $0.append(text: "text")
            $0.append(text: ByteString("tëxt"))
            $0.append(text: "a:", ByteString("b"))
            $0.append(Int64.min)
            $0.append(UInt64.max)
            $0.append(-10)
            $0.append(ByteBuffer([1, 2]))
            $0.append(byteCount: 4) { $0.append("four") }
            $0.append(script, keyCount: 12)
        }
        let arguments = [
            "SET", "text", "tëxt", "a:b", "-9223372036854775808", "18446744073709551615", "-10",
            "\u{1}\u{2}", "four", "EVALSHA",
            "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "12",
        ]
        #expect(bytes == Self.expected(arguments.map { Array($0.utf8) }))
    }

    @Test("belong to the slot of their key, or of the text in its braces")
    func slots() {
        // The examples of the specification.
        #expect(RedisSlot(key: "123456789").number == 0x31C3)
        #expect(RedisSlot(key: "{user1000}.following") == RedisSlot(key: "{user1000}.followers"))
        #expect(RedisSlot(key: "{user1000}.following") == RedisSlot(key: "user1000"))
        #expect(RedisSlot(key: "foo{}{bar}") != RedisSlot(key: "bar"))
        #expect(RedisSlot(key: "foo{{bar}}zap") == RedisSlot(key: "{bar"))
        #expect(RedisSlot(key: "foo{bar}{zap}") == RedisSlot(key: "bar"))
        #expect(RedisSlot(key: "foo{bar") != RedisSlot(key: "bar"))
        #expect(RedisSlot(key: "foo").number == 12_182)
        #expect(RedisSlot(key: "") == RedisSlot(0))
    }
}
