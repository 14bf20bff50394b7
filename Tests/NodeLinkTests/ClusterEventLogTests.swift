import Bytes
import Testing

@testable import NodeLink

@Suite("The cluster's events")
struct ClusterEventLogTests {
    private static func entry(_ id: String, _ fields: String...) -> SampleReply {
        .list([.text(id), .list(fields.map { .text($0) })])
    }

    @Test("are read with their details, oldest first, from a list in any order")
    func order() throws {
        let reply = SampleReply.list([
            Self.entry("1000-2", "event", "drain", "node", "z"), .number(5),
            Self.entry("999-0", "event", "joins"), Self.entry("1000-1", "event", "resume", "odd"),
        ])
        let events = try reply.read { NodeLink.Event.events($0) }
        #expect(events.map(\.id) == ["999-0", "1000-1", "1000-2"])
        #expect(events.map { $0["event"] } == ["joins", "resume", "drain"])
        #expect(events[2]["node"] == "z")
        #expect(events[1].details.count == 1)
        #expect(events[0].time.milliseconds == 999)
    }
}
