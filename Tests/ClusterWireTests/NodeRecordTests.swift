import Bytes
import Cluster
import JSON
import Testing

@testable import ClusterWire

@Suite("A node record")
struct NodeRecordTests {
    private static let record = NodeRecord(
        incarnation: .max, name: "chat-1 \"é\"", address: "10.0.0.7:8080",
        adminAddress: "[::1]:9090", host: "rack-1", version: "0.3.0", loops: 4,
        startedAt: Timestamp(milliseconds: 1_700_000_000_123))

    @Test("is read as it was written")
    func roundTrip() throws {
        #expect(try NodeRecord(text: Self.record.text) == Self.record)
        var plain = Self.record
        plain.adminAddress = nil
        #expect(try NodeRecord(text: plain.text) == plain)
    }

    @Test("has this text")
    func layout() {
        let text =
            #"{"format":1,"incarnation":"3w5e11264sgsf","name":"chat-1 \"é\"","#
            + #""address":"10.0.0.7:8080","#
            + #""admin_address":"[::1]:9090","host":"rack-1","version":"0.3.0","loops":4,"#
            + #""started_at":1700000000123,"hash":"187eb2cf0aaf3e97"}"#
        #expect(Self.record.text == text)
    }

    private func refusal(_ name: String, _ value: JSONTree?) throws -> String? {
        var members = try JSONTree(parsing: Self.record.text).members!.filter {
            !["format", "hash", name].contains($0.name)
        }
        if let value { members.append(.init(name, value)) }
        do {
            _ = try NodeRecord(text: PersistentText.write(members))
            return nil
        } catch {
            return error.description
        }
    }

    @Test("is rejected if a member is invalid")
    func members() throws {
        let notIncarnation =
            "incarnation: an incarnation must be a text of digits and lowercase letters"
        #expect(try self.refusal("incarnation", 5) == notIncarnation)
        #expect(try self.refusal("incarnation", "Z") == notIncarnation)
        #expect(try self.refusal("incarnation", nil) == "incarnation: is missing")
        for name in ["name", "address", "host", "version", "admin_address"] {
            let notText = "\(name): must be a text of 1 to 255 bytes without control characters"
            #expect(try self.refusal(name, "") == notText)
            #expect(try self.refusal(name, .string(String(repeating: "x", count: 256))) == notText)
            #expect(try self.refusal(name, "a\nb") == notText)
            #expect(try self.refusal(name, 5) == notText)
            #expect(
                try self.refusal(name, nil)
                    == (name == "admin_address" ? nil : "\(name): is missing"))
        }
        #expect(try self.refusal("admin_address", .null) == nil)
        #expect(try self.refusal("loops", 0) == "loops: must be a number from 1 to 65535")
        #expect(
            try self.refusal("loops", .number("1e3")) == "loops: must be a number from 1 to 65535")
        let notMoment = "started_at: must be a number from -62167219200000 to 253402300799999"
        #expect(try self.refusal("started_at", .integer(Int64.max)) == notMoment)
        #expect(try self.refusal("started_at", .number("9223372036854775808")) == notMoment)
    }

    @Test("is rejected if any character was changed")
    func damage() {
        let bytes = Array(Self.record.text.utf8)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            #expect(throws: PersistentTextError.damaged) {
                try NodeRecord(text: String(decoding: changed, as: UTF8.self))
            }
        }
    }

    @Test("is not a view, and a view is not a node record")
    func kinds() {
        #expect(throws: PersistentTextError.invalidMember("number", "is missing")) {
            try View(text: Self.record.text)
        }
        let view = View(number: 1, nodes: [View.Node(incarnation: 1, loops: 1)])
        #expect(throws: PersistentTextError.invalidMember("incarnation", "is missing")) {
            try NodeRecord(text: view.text)
        }
    }
}
