import Foundation
import JSON
import SeededRandom
import Testing

@Suite("JSON against Foundation")
struct JSONOracleTests {
    static let seeds: [String] = [
        #"""
        {"action":"send_message","conversation_id":"123","content":"Hello!","local_id":"temp_123"}
        """#,
        #"{"a":[1,-2.5e+3,"é\u20ac\uD83D\uDE00\n",true,false,null,{}],"b":{"c":[[],[0]]}}"#,
        #"[0,-0,1.0,10e1,"","\\","\"","\/"," ",{"":""}]"#,
    ]

    /// Foundation's result, or nil if it rejects the text. It parses strictly by default, without
    /// JSON5.
    static func foundation(_ bytes: [UInt8]) -> NSObject? {
        (try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed]))
            as? NSObject
    }

    /// The same value in Foundation's types.
    static func bridged(_ tree: JSONTree) -> NSObject {
        switch tree {
        case .null: NSNull()
        case .bool(let value): NSNumber(value: value)
        case .number(let text): NSNumber(value: Double(text)!)
        case .string(let text): text as NSString
        case .array(let elements): elements.map { Self.bridged($0) } as NSArray
        case .object(let members):
            NSDictionary(
                dictionary: Dictionary(
                    members.map { ($0.name, Self.bridged($0.value)) }, uniquingKeysWith: { $1 }))
        }
    }

    static func isTrailingComma(_ error: JSONError, _ bytes: [UInt8]) -> Bool {
        guard error.reason == .valueExpected || error.reason == .nameExpected,
            bytes[error.offset] | 0x20 == UInt8(ascii: "}")
        else {
            return false
        }
        return bytes[..<error.offset].last { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: ",")
    }

    @Test(
        "accepts and rejects the same texts as Foundation",
        arguments: [1, 2, 3, 4] as [UInt64])
    func mutations(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let characters =
            Array("{}[]:,\"\\u0dD8cC/ntrue false.-+eE19\n\0é\u{1F}".utf8) + [
                0x80, 0xFF, 0xED, 0xA0,
            ]
        var acceptedCount = 0
        for _ in 0..<6000 {
            var bytes = Array(Self.seeds[random.next(below: Self.seeds.count)].utf8)
            for _ in 0...random.next(below: 3) {
                let index = random.next(below: bytes.count)
                switch random.next(below: 4) {
                case 0: bytes[index] = characters[random.next(below: characters.count)]
                case 1: bytes.insert(characters[random.next(below: characters.count)], at: index)
                case 2: bytes.remove(at: index)
                default:
                    let end = min(bytes.count, index + random.next(below: 6))
                    bytes.insert(
                        contentsOf: bytes[index..<end], at: random.next(below: bytes.count))
                }
            }
            let oracle = Self.foundation(bytes)
            switch parsed(bytes) {
            case .success(let tree):
                acceptedCount += 1
                #expect(
                    oracle != nil, "Foundation rejects \(String(decoding: bytes, as: UTF8.self))")
                if let oracle {
                    #expect(
                        oracle == Self.bridged(tree),
                        "differs: \(String(decoding: bytes, as: UTF8.self))")
                }
            case .failure(let error):
                // Foundation interprets a zero byte as UTF-16 and accepts trailing commas.
                if bytes.contains(0) || Self.isTrailingComma(error, bytes) { continue }
                #expect(
                    oracle == nil,
                    "\(error) But Foundation accepts \(String(decoding: bytes, as: UTF8.self))")
            }
        }
        #expect(acceptedCount > 500)
    }
}
