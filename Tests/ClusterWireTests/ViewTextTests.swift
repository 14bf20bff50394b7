import Bytes
import ChatModel
import Cluster
import JSON
import SeededRandom
import Testing

@testable import ClusterWire

@Suite("A stored view")
struct ViewTextTests {
    private static let nodes = [
        View.Node(incarnation: 1, loops: 2),
        View.Node(incarnation: .max, loops: 65_535, isDraining: true),
        View.Node(incarnation: 1 << 60 + 1, loops: 1),
    ]
    private static let whole = View(number: 12, nodes: nodes)
    private static let moving = whole.setting(draining: true, 1)!.step(shards: 100)!

    @Test("is read as it was written, after any changes", arguments: 1...20)
    func roundTrip(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var view = View(
            number: random.number(0...1 << 53 - 100),
            nodes: [View.Node(incarnation: random.next(), loops: 4)])
        for _ in 0..<20 {
            let known = random.pick(view.nodes)!.incarnation
            switch random.next(below: 4) {
            case 0:
                view = view.adding(
                    View.Node(incarnation: random.next(), loops: random.number(1...65_535)))
            case 1: view = view.setting(draining: random.happens(perMille: 500), known) ?? view
            case 2: view = view.removing(known) ?? view
            default: view = view.step(shards: random.number(1...3000)) ?? view
            }
            let again = try View(text: view.text)
            #expect(again == view)
            #expect(again.text == view.text)
        }
    }

    @Test("has this text")
    func layout() {
        let nodes =
            #"{"incarnation":"1","loops":2,"draining":false},"#
            + #"{"incarnation":"8rc4kbdvss1t","loops":1,"draining":false},"#
            + #"{"incarnation":"3w5e11264sgsf","loops":65535,"draining":true}"#
        let list = #"["1","8rc4kbdvss1t","3w5e11264sgsf"]"#
        let text =
            #"{"format":1,"number":12,"nodes":[\#(nodes)],"old":\#(list),"new":\#(list),"#
            + #""moved":"","hash":"e9692bf096bda683"}"#
        #expect(Self.whole.text == text)
        #expect(
            Self.moving.text.contains(#""old":["1","#) && Self.moving.text.count < 1200,
            "\(Self.moving.text)")
    }

    @Test("may have additional members of a later version")
    func additions() throws {
        #expect(
            try View(text: Self.changed { $0.append(.init("motto", .array(["new"]))) })
                == Self.whole)
    }

    /// The text with changed members and a valid hash.
    private static func changed(
        _ view: View = Self.whole, _ change: (inout [JSONTree.ObjectMember]) -> Void
    ) throws -> String {
        var members = try JSONTree(parsing: view.text).members!.filter {
            !["format", "hash"].contains($0.name)
        }
        change(&members)
        return PersistentText.write(members)
    }

    private static func setting(_ name: String, _ value: JSONTree) throws -> String {
        try self.changed { members in
            for index in members.indices where members[index].name == name {
                members[index] = .init(name, value)
            }
        }
    }

    private func refusal(_ text: String) -> String? {
        do {
            _ = try View(text: text)
            return nil
        } catch {
            return error.description
        }
    }

    @Test("is rejected if a member is invalid")
    func members() throws {
        func node(_ incarnation: JSONTree, _ loops: JSONTree = 1, _ isDraining: JSONTree = false)
            -> JSONTree
        {
            ["incarnation": incarnation, "loops": loops, "draining": isDraining]
        }
        func refusal(_ name: String, _ value: JSONTree) throws -> String? {
            self.refusal(try Self.setting(name, value))
        }
        let notLoops = "loops: must be a number from 1 to 65535"
        let notIncarnation = "an incarnation must be a text of digits and lowercase letters"
        #expect(try refusal("number", -1) == "number: must be a number from 0 to 9007199254740992")
        #expect(
            try refusal("number", "12") == "number: must be a number from 0 to 9007199254740992")
        #expect(
            try refusal("number", .number("1.5"))
                == "number: must be a number from 0 to 9007199254740992")
        #expect(try refusal("number", .null) == "number: is missing")
        #expect(try refusal("nodes", "all") == "nodes: must be a list")
        #expect(try refusal("nodes", [node("1", 0)]) == notLoops)
        #expect(try refusal("nodes", [node("1", 65_536)]) == notLoops)
        #expect(try refusal("nodes", [node("1", -1)]) == notLoops)
        #expect(
            try refusal("nodes", [node("1", 1, .null)]) == "draining: must be true or false")
        #expect(try refusal("nodes", [node("1"), node("1")]) == "nodes: a node is listed twice")
        #expect(try refusal("nodes", [5]) == "incarnation: is missing")
        for wrong: JSONTree in ["", "A", "01", "+1", "-1", " 1", "é", "3w5e11264sgsg", 1, true] {
            #expect(try refusal("nodes", [node(wrong)]) == "incarnation: \(notIncarnation)")
            #expect(try refusal("old", [wrong]) == "old: \(notIncarnation)")
        }
        let many = (0...View.nodeLimit).map { node(.incarnation(UInt64($0))) }
        #expect(try refusal("nodes", .array(many)) == "nodes: must have at most 1024 nodes")
        for name in ["old", "new"] {
            #expect(try refusal(name, []) == "\(name): must list at least one node")
            #expect(try refusal(name, ["2"]) == "\(name): 2 is not in nodes")
            #expect(try refusal(name, ["1", "1"]) == "\(name): a node is listed twice")
            #expect(try refusal(name, ["1", "1", "1", "1"]) == "\(name): a node is listed twice")
            #expect(try refusal(name, .null) == "\(name): is missing")
        }
        let notBits = "moved: must be 4096 bits in base64url, or empty"
        #expect(try refusal("moved", .null) == notBits)
        #expect(try refusal("moved", "AAAA") == notBits)
        #expect(try refusal("moved", "ä") == notBits)
        #expect(
            try refusal("moved", .string(Base64URL.encode([UInt8](repeating: 0, count: 513))))
                == notBits)
    }

    @Test("is rejected if it has no node")
    func emptyLists() throws {
        let text = try Self.changed { members in
            for index in members.indices
            where ["nodes", "old", "new"].contains(members[index].name) {
                members[index] = .init(members[index].name, [])
            }
        }
        #expect(self.refusal(text) == "old: must list at least one node")
    }

    @Test("is rejected if any character was changed, removed or added")
    func damage() {
        let damaged = PersistentTextError.damaged.description
        let bytes = Array(Self.moving.text.utf8)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            #expect(self.refusal(String(decoding: changed, as: UTF8.self)) == damaged)
            changed.remove(at: index)
            #expect(self.refusal(String(decoding: changed, as: UTF8.self)) == damaged)
            #expect(self.refusal(String(decoding: bytes[..<index], as: UTF8.self)) == damaged)
        }
        #expect(self.refusal(Self.moving.text + " ") == damaged)
        #expect(self.refusal("") == damaged)
    }

    @Test("is rejected if it has another format, is not JSON, or is too long")
    func otherFormats() throws {
        #expect(
            self.refusal(Self.sealed(#"{"format":2,"number":1"#))
                == "the text has format 2; this node supports format 1")
        #expect(self.refusal(Self.sealed(#"{"number":1"#)) == "format: is missing")
        #expect(
            self.refusal(Self.sealed(#"{"number"1"#))
                == "The JSON is malformed at byte 9: a colon was expected.")
        #expect(
            self.refusal(Self.sealed(String(repeating: "[", count: 100)))?.hasPrefix(
                "The JSON is malformed") == true)
        #expect(
            self.refusal(String(repeating: " ", count: 2 << 20)) == "the text exceeds 1048576 bytes"
        )
    }

    /// Any text with a valid hash.
    private static func sealed(_ text: String) -> String {
        let hash = StableHash.mix(Array(text.utf8).withUnsafeBufferPointer { StableHash.fnv1a($0) })
        let digits = String(hash, radix: 16)
        return text + #","hash":""# + String(repeating: "0", count: 16 - digits.count) + digits
            + #""}"#
    }

    @Test("never traps on any contents with a valid hash", arguments: 1...50)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let whole = Array(Self.moving.text.utf8.dropLast(27))
        for _ in 0..<40 {
            var bytes = whole
            for _ in 0...random.next(below: 3) {
                let index = random.next(below: bytes.count)
                switch random.next(below: 3) {
                case 0: bytes[index] = random.pick(Array(#"0159az"[]{},:-."#.utf8))!
                case 1: bytes.insert(random.pick(Array(#"09z"[]{},"#.utf8))!, at: index)
                default:
                    bytes.removeSubrange(
                        index..<min(bytes.count - 1, index + random.next(below: 12)))
                }
            }
            guard let view = try? View(text: Self.sealed(String(decoding: bytes, as: UTF8.self)))
            else { continue }
            #expect((try? View(text: view.text)) == view)
        }
    }
}
