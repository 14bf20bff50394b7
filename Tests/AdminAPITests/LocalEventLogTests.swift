import Bytes
import NodeLink
import Synchronization
import Testing

@testable import AdminAPI

@Suite("The event log of a single node")
struct LocalEventLogTests {
    private func time(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test("continues after a restart, with ids that increase even if the clock was set back")
    func restart() {
        let box = StoredEntries()
        let log = LocalEventLog { box.add($0, $1) }
        log.append([.init("event", "starts"), .init("name", "solo")], at: self.time(5000))
        log.append([.init("event", "drain"), .init("detail", "a \"quote\"")], at: self.time(5000))
        let again = LocalEventLog(box.all) { box.add($0, $1) }
        again.append([.init("event", "starts")], at: self.time(4000))
        #expect(again.events.map { $0["event"] } == ["starts", "drain", "starts"])
        #expect(again.events[1]["detail"] == "a \"quote\"")
        let ids = again.events.map(\.id)
        for (one, next) in zip(ids, ids.dropFirst()) {
            #expect(NodeLink.Event.order(of: one) < NodeLink.Event.order(of: next))
        }
        #expect(again.events.filter { $0.isAfter(ids[0]) }.count == 2)
        #expect(box.all.count == 3)
    }

    @Test("is bounded")
    func bound() {
        let log = LocalEventLog()
        for number in 0..<(LocalEventLog.limit + 10) {
            log.append([.init("event", "\(number)")], at: self.time(Int64(number)))
        }
        #expect(log.events.count == LocalEventLog.limit)
        #expect(log.events.first?["event"] == "10")
    }

    @Test("filters by node, type and time")
    func filter() {
        let event = NodeLink.Event(
            id: "7000-0", details: [.init("event", "dies"), .init("name", "n2")])
        let filter = EventFilter(node: "n2", type: "dies", since: self.time(7000))
        #expect(filter.accepts(event, naming: []))
        #expect(!EventFilter(node: "n1").accepts(event, naming: []))
        #expect(!EventFilter(type: "die").accepts(event, naming: []))
        #expect(!EventFilter(since: self.time(7001)).accepts(event, naming: []))
        let unnamed = NodeLink.Event(
            id: "1-0", details: [.init("event", "dies"), .init("name", ""), .init("node", "a")])
        #expect(unnamed.nodeName(among: []) == nil)
    }

    private final class StoredEntries: Sendable {
        private let entries = Mutex<[(id: String, text: String)]>([])
        var all: [(id: String, text: String)] { self.entries.withLock { $0 } }
        func add(_ id: String, _ text: String) {
            self.entries.withLock { $0.append((id, text)) }
        }
    }
}
