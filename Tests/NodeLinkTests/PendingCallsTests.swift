import Bytes
import Cluster
import ClusterWire
import Synchronization
import Testing

@testable import NodeLink

/// A mutable value for `#expect`, which cannot call mutating functions of a variable.
private final class ReplyRecorder<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

@Suite("Calls between nodes")
struct PendingCallsTests {
    @Test("end once, with the reply of the called node")
    func answers() throws {
        let correspondence = ReplyRecorder(PendingCalls())
        let id = try #require(correspondence.value.start(7, at: 0) { _ in })
        #expect(correspondence.value.finish(id, from: 8) == nil, "another was asked")
        #expect(correspondence.value.finish(id + 1, from: 7) == nil)
        #expect(correspondence.value.finish(id, from: 7) != nil)
        #expect(correspondence.value.finish(id, from: 7) == nil)
        #expect(correspondence.value.takeExpired(at: .max).isEmpty)
    }

    @Test("end after two seconds without a reply")
    func timeout() throws {
        let correspondence = ReplyRecorder(PendingCalls())
        _ = correspondence.value.start(7, at: 1000) { _ in }
        _ = correspondence.value.start(8, at: 1500) { _ in }
        #expect(correspondence.value.takeExpired(at: 2999).isEmpty)
        #expect(correspondence.value.takeExpired(at: 3000).count == 1)
        #expect(correspondence.value.takeExpired(at: 3500).count == 1)
    }

    @Test("are refused if too many are pending")
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

    @Test("are answered once, even if they are replayed")
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

@Suite("A peer directory")
struct PeerDirectoryTests {
    private static func view(_ nodes: UInt64...) -> View {
        View(number: 1, nodes: nodes.map { View.Node(incarnation: $0, loops: 1) })
    }

    private static func record(_ node: UInt64, _ name: String) -> NodeRecord {
        NodeRecord(
            incarnation: node, name: name, address: "127.0.0.1:1", host: "h",
            version: "1", loops: 1, startedAt: Timestamp(milliseconds: 0))
    }

    /// Two nodes with known names.
    private static func directoryOfTwo() -> PeerDirectory {
        let directory = ReplyRecorder(PeerDirectory())
        #expect(Set(directory.value.follow(Self.view(1, 2), suspects: [:], at: 0)) == [1, 2])
        directory.value.recordFetched(Self.record(1, "n1"), of: 1, at: 0)
        directory.value.recordFetched(Self.record(2, "n2"), of: 2, at: 0)
        #expect(
            directory.value.follow(Self.view(1, 2), suspects: [:], at: 0).isEmpty,
            "each is asked about once")
        return directory.value
    }

    @Test("names a node by its record, and by its incarnation until that is read")
    func names() {
        let directory = ReplyRecorder(PeerDirectory())
        _ = directory.value.follow(Self.view(1, 35), suspects: [:], at: 0)
        directory.value.recordFetched(Self.record(1, "n1"), of: 1, at: 0)
        #expect(
            directory.value.peers(in: Self.view(1, 35), suspects: [35: 900], at: 0).map(\.name) == [
                "n1", "z",
            ])
        #expect(directory.value.follow(Self.view(1, 35), suspects: [:], at: 0).isEmpty)
        directory.value.fetchFailed(of: 35)
        #expect(directory.value.follow(Self.view(1, 35), suspects: [:], at: 0) == [35])
    }

    @Test("keeps an evicted node for a minute")
    func evictedNode() {
        let directory = ReplyRecorder(Self.directoryOfTwo())
        #expect(directory.value.follow(Self.view(1), suspects: [:], at: 1000) == [2])
        #expect(directory.value.peers(in: Self.view(1), suspects: [:], at: 1000).count == 1)
        directory.value.recordFetched(nil, of: 2, at: 1000)
        let peers = directory.value.peers(in: Self.view(1), suspects: [:], at: 15_000)
        #expect(peers.map(\.name) == ["n1", "n2"])
        #expect(peers[1].evictedFor == 14_000)
        #expect(directory.value.follow(Self.view(1), suspects: [:], at: 61_001).isEmpty)
        #expect(directory.value.peers(in: Self.view(1), suspects: [:], at: 61_001).count == 1)
    }

    @Test("keeps a silent node that is in no view any more until its reason is known")
    func silentNode() {
        let directory = ReplyRecorder(Self.directoryOfTwo())
        #expect(directory.value.follow(Self.view(1, 2), suspects: [2: 1900], at: 2000).isEmpty)
        let suspect = directory.value.peers(in: Self.view(1, 2), suspects: [2: 1900], at: 2000)
        #expect(suspect.map(\.state) == ["active", "suspect"])

        #expect(directory.value.follow(Self.view(1), suspects: [:], at: 2500) == [2])
        let missing = directory.value.peers(in: Self.view(1), suspects: [:], at: 2500)
        #expect(missing.map(\.name) == ["n1", "n2"])
        #expect(missing[1].silentFor == 2400 && missing[1].state == "suspect")

        directory.value.fetchFailed(of: 2)
        #expect(directory.value.follow(Self.view(1), suspects: [:], at: 3000) == [2])
        #expect(directory.value.peers(in: Self.view(1), suspects: [:], at: 3000).count == 2)
        directory.value.recordFetched(nil, of: 2, at: 3100)
        let gone = directory.value.peers(in: Self.view(1), suspects: [:], at: 3200)
        #expect(gone.map(\.evictedFor) == [nil, 100] && gone[1].silentFor == nil)
    }

    @Test("drops a silent node that has left after all, and one that answered again before it left")
    func silentNodeLeaves() {
        let directory = ReplyRecorder(Self.directoryOfTwo())
        _ = directory.value.follow(Self.view(1, 2), suspects: [2: 700], at: 1000)
        _ = directory.value.follow(Self.view(1), suspects: [:], at: 1100)
        #expect(directory.value.peers(in: Self.view(1), suspects: [:], at: 1100).count == 2)
        directory.value.recordFetched(Self.record(2, "n2"), of: 2, at: 1200)
        #expect(directory.value.peers(in: Self.view(1), suspects: [:], at: 1200).count == 1)

        directory.value = Self.directoryOfTwo()
        _ = directory.value.follow(Self.view(1, 2), suspects: [2: 700], at: 1000)
        _ = directory.value.follow(Self.view(1, 2), suspects: [:], at: 1500)
        _ = directory.value.follow(Self.view(1), suspects: [:], at: 2000)
        #expect(directory.value.peers(in: Self.view(1), suspects: [:], at: 2000).count == 1)
    }

    @Test("drops a node that has left, or whose name a new node uses")
    func leaving() {
        let directory = ReplyRecorder(Self.directoryOfTwo())
        _ = directory.value.follow(Self.view(1), suspects: [:], at: 1000)
        directory.value.recordFetched(Self.record(2, "n2"), of: 2, at: 1000)
        #expect(directory.value.peers(in: Self.view(1), suspects: [:], at: 1000).count == 1)

        directory.value = Self.directoryOfTwo()
        _ = directory.value.follow(Self.view(1), suspects: [:], at: 1000)
        directory.value.recordFetched(nil, of: 2, at: 1000)
        #expect(directory.value.follow(Self.view(1, 3), suspects: [:], at: 2000) == [3])
        directory.value.recordFetched(Self.record(3, "n2"), of: 3, at: 2000)
        #expect(
            directory.value.peers(in: Self.view(1, 3), suspects: [:], at: 2000).map(\.evictedFor)
                == [
                    nil, nil,
                ])
    }
}
