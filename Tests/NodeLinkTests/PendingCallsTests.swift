import Bytes
import Cluster
import ClusterWire
import Synchronization
import Testing

@testable import NodeLink

/// A value that `#expect` may change: it cannot call a mutating function of a variable.
private final class ReplyRecorder<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

@Suite("Questions between nodes")
struct PendingCallsTests {
    @Test("end with the answer of whom they were put to, and once")
    func answers() throws {
        let correspondence = ReplyRecorder(PendingCalls())
        let id = try #require(correspondence.value.start(7, at: 0) { _ in })
        #expect(correspondence.value.finish(id, from: 8) == nil, "another was asked")
        #expect(correspondence.value.finish(id + 1, from: 7) == nil)
        #expect(correspondence.value.finish(id, from: 7) != nil)
        #expect(correspondence.value.finish(id, from: 7) == nil)
        #expect(correspondence.value.takeExpired(at: .max).isEmpty)
    }

    @Test("end after two seconds without one")
    func timeout() throws {
        let correspondence = ReplyRecorder(PendingCalls())
        _ = correspondence.value.start(7, at: 1000) { _ in }
        _ = correspondence.value.start(8, at: 1500) { _ in }
        #expect(correspondence.value.takeExpired(at: 2999).isEmpty)
        #expect(correspondence.value.takeExpired(at: 3000).count == 1)
        #expect(correspondence.value.takeExpired(at: 3500).count == 1)
    }

    @Test("are refused when too many are under way")
    func limits() {
        let correspondence = ReplyRecorder(PendingCalls())
        for _ in 0..<PendingCalls.callLimit {
            #expect(correspondence.value.start(7, at: 0) { _ in } != nil)
        }
        #expect(correspondence.value.start(7, at: 0) { _ in } == nil)
        for id in 1...UInt64(PendingCalls.requestLimit) {
            #expect(correspondence.value.acceptRequest(id, from: 7) == true)
        }
        #expect(correspondence.value.acceptRequest(1000, from: 7) == false)
        correspondence.value.requestFinished()
        #expect(correspondence.value.acceptRequest(1000, from: 7) == true)
    }

    @Test("are answered once, whoever says them again")
    func repeatedRequests() {
        let correspondence = ReplyRecorder(PendingCalls())
        #expect(correspondence.value.acceptRequest(5, from: 7) == true)
        #expect(correspondence.value.acceptRequest(5, from: 7) == false)
        #expect(correspondence.value.acceptRequest(4, from: 7) == false)
        #expect(correspondence.value.acceptRequest(4, from: 8) == true)
        correspondence.value.removeRequests(allBut: [7])
        #expect(correspondence.value.acceptRequest(5, from: 7) == false)
        #expect(correspondence.value.acceptRequest(6, from: 7) == true)
    }
}

@Suite("Who a node knows")
struct PeerDirectoryTests {
    private static func view(_ nodes: UInt64...) -> View {
        View(number: 1, nodes: nodes.map { View.Node(incarnation: $0, loops: 1) })
    }

    private static func record(_ node: UInt64, _ name: String) -> NodeRecord {
        NodeRecord(
            incarnation: node, name: name, address: "127.0.0.1:1", version: "1", loops: 1,
            startedAt: Timestamp(milliseconds: 0))
    }

    /// Two nodes, both known by name.
    private static func directoryOfTwo() -> PeerDirectory {
        let known = ReplyRecorder(PeerDirectory())
        #expect(Set(known.value.follow(Self.view(1, 2), at: 0)) == [1, 2])
        known.value.recordFetched(Self.record(1, "n1"), of: 1, at: 0)
        known.value.recordFetched(Self.record(2, "n2"), of: 2, at: 0)
        #expect(known.value.follow(Self.view(1, 2), at: 0).isEmpty, "each is asked about once")
        return known.value
    }

    @Test("is named by its record, and until that is read by its incarnation")
    func names() {
        let known = ReplyRecorder(PeerDirectory())
        _ = known.value.follow(Self.view(1, 35), at: 0)
        known.value.recordFetched(Self.record(1, "n1"), of: 1, at: 0)
        #expect(
            known.value.peers(in: Self.view(1, 35), suspects: [35: 900], at: 0).map(\.name) == [
                "n1", "z",
            ])
        #expect(known.value.follow(Self.view(1, 35), at: 0).isEmpty)
        known.value.fetchFailed(of: 35)
        #expect(known.value.follow(Self.view(1, 35), at: 0) == [35])
    }

    @Test("is missed for a minute when it was taken for dead")
    func evictedNode() {
        let known = ReplyRecorder(Self.directoryOfTwo())
        #expect(known.value.follow(Self.view(1), at: 1000) == [2])
        #expect(known.value.peers(in: Self.view(1), suspects: [:], at: 1000).count == 1)
        known.value.recordFetched(nil, of: 2, at: 1000)
        let peers = known.value.peers(in: Self.view(1), suspects: [:], at: 15_000)
        #expect(peers.map(\.name) == ["n1", "n2"])
        #expect(peers[1].evictedFor == 14_000)
        #expect(known.value.follow(Self.view(1), at: 61_001).isEmpty)
        #expect(known.value.peers(in: Self.view(1), suspects: [:], at: 61_001).count == 1)
    }

    @Test("is not missed when it has left, or is there again under its name")
    func leaving() {
        let known = ReplyRecorder(Self.directoryOfTwo())
        _ = known.value.follow(Self.view(1), at: 1000)
        known.value.recordFetched(Self.record(2, "n2"), of: 2, at: 1000)
        #expect(known.value.peers(in: Self.view(1), suspects: [:], at: 1000).count == 1)

        known.value = Self.directoryOfTwo()
        _ = known.value.follow(Self.view(1), at: 1000)
        known.value.recordFetched(nil, of: 2, at: 1000)
        #expect(known.value.follow(Self.view(1, 3), at: 2000) == [3])
        known.value.recordFetched(Self.record(3, "n2"), of: 3, at: 2000)
        #expect(
            known.value.peers(in: Self.view(1, 3), suspects: [:], at: 2000).map(\.evictedFor) == [
                nil, nil,
            ])
    }
}
