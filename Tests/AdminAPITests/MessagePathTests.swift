import JSON
import Testing

@testable import AdminAPI

/// n1 accepts, n2 owns. The clock of n2 is 10 ms ahead.
@Suite("The path of a message")
struct MessagePathTests {
    private static func step(
        _ step: String, at microseconds: Int, message: Int? = 7, request: String = "0",
        from origin: (node: String, loop: Int)? = nil, count: Int = 0, loop: Int = 0
    ) throws -> TraceStep {
        try #require(
            TraceStep([
                "conversation": "lobby", "message": message.map { .integer($0) } ?? .null,
                "loop": .integer(loop), "step": .string(step), "at": .integer(microseconds),
                "count": .integer(count), "request": .string(request),
                "from_node": origin.map { .string($0.node) } ?? .null,
                "from_loop": origin.map { .integer($0.loop) } ?? .null,
            ]))
    }

    private func path(
        _ first: [TraceStep], _ second: [TraceStep], offsets: (Int64?, Int64?) = (0, 10_000)
    ) -> MessagePath {
        MessagePath(
            of: 7, in: "lobby",
            among: [
                .init(incarnation: 1, name: "n1", clockOffset: offsets.0, steps: first),
                .init(incarnation: 2, name: "n2", clockOffset: offsets.1, steps: second),
            ])
    }

    private func standard(offsets: (Int64?, Int64?) = (0, 10_000)) throws -> MessagePath {
        self.path(
            [
                try Self.step("accepted", at: 1000, request: "5"),
                try Self.step("received", at: 4000),
                try Self.step("answered", at: 4000, request: "5"),
                try Self.step("written", at: 4500, count: 3),
                try Self.step("delivered", at: 4500, count: 1),
            ],
            [
                try Self.step("sequenced", at: 12_000, request: "5", from: ("1", 0)),
                try Self.step("stored", at: 13_000),
                try Self.step("published", at: 13_000, count: 1),
            ], offsets: offsets)
    }

    @Test("is in the order of time by the shared clock, and of the path within one time")
    func order() throws {
        let path = try self.standard()
        #expect(
            path.places.map(\.step.step) == [
                "accepted", "sequenced", "stored", "published", "received", "answered", "written",
                "delivered",
            ])
        #expect(path.accepted?.node.name == "n1" && path.sequenced?.node.name == "n2")
        #expect(path.state == "delivered")
    }

    @Test("has offsets by each node's own clock, and the time since it was accepted by both")
    func times() throws {
        let rows = try self.standard().rows { "n\($0)" }
        #expect(
            rows.map { $0["offset"]?.text } == ["0", "0", "1", "1", "3", "3", "3.500", "3.500"])
        #expect(
            rows.map { $0["since_accepted"]?.text } == [
                "0", "1", "2", "2", "3", "3", "3.500", "3.500",
            ])
        #expect(rows[1]["detail"] == "request of n1, loop 0")
        #expect(rows[6]["detail"] == "to 3 sockets")
        #expect(rows[0]["timestamp"] == "1970-01-01T00:00:00.001Z")
    }

    @Test("compares no clocks whose offset is unknown")
    func unknownOffset() throws {
        let rows = try self.standard(offsets: (0, nil)).rows { "n\($0)" }
        for row in rows {
            #expect((row["since_accepted"] == .null) == (row["node"] == "n2"))
        }
        let summary = try self.standard(offsets: (0, nil)).summary([], seenAt: 9)
        #expect(summary["stored"] == .null && summary["first_written"]?.text == "3.500")
        #expect(summary["sockets"] == 3 && summary["owner"] == "n2")
    }

    @Test("has the request that no answer reached, found through the owner")
    func unansweredRequest() throws {
        let path = self.path(
            [
                try Self.step("accepted", at: 1000, message: nil, request: "5"),
                try Self.step("accepted", at: 1100, message: nil, request: "6"),
                try Self.step("accepted", at: 1200, message: nil, request: "5", loop: 1),
                try Self.step("resent", at: 2000, message: nil, request: "5"),
            ], [try Self.step("sequenced", at: 12_000, request: "5", from: ("1", 0))])
        #expect(path.places.map(\.step.step) == ["accepted", "resent", "sequenced"])
        #expect(path.accepted?.step.at == 1000)
        #expect(path.state == "waiting")
    }

    @Test(
        "has the state of the last step that counts",
        arguments: [
            (["sequenced", "not_stored"], "not_stored"), (["accepted", "failed"], "failed"),
            (["sequenced", "stored", "published"], "stored"),
            (["not_stored", "stored", "received"], "received"), ([], "waiting"),
        ])
    func states(steps: [String], state: String) throws {
        let path = self.path(try steps.map { try Self.step($0, at: 1) }, [])
        #expect(path.state == state)
    }

    @Test("ignores other messages, and steps that are malformed")
    func others() throws {
        let path = self.path([try Self.step("stored", at: 1, message: 8)], [])
        #expect(path.places.isEmpty)
        #expect(TraceStep.list(["steps": [["step": "stored"], 3]]) == [])
    }

    @Test(
        "is written with up to three decimals",
        arguments: [(0, "0"), (1.5, "1.500"), (-0.25, "-0.250"), (12.0004, "12")])
    func milliseconds(value: Double, text: String) {
        #expect(JSONTree.milliseconds(value).text == text)
    }
}
