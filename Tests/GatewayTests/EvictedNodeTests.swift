import ChatCore
import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("A node that the others have evicted", .ownThread)
struct EvictedNodeTests {
    @Test("closes its clients with 1013 over five seconds, and keeps the rest when it returns")
    func evicted() async throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode(loops: 1) { $0.settings.readClocks = { clock.reading } }
        let peers = try (0..<10).map { try node.peer("user\($0)", in: "room\($0)") }
        func setEvicted(_ isEvicted: Bool) async {
            node.gateway.shared.evictionChanged(isEvicted: isEvicted)
            // The loop answers after it has received the change.
            _ = await node.gateway.loopReports(within: Deadline.defaultTimeout)
        }
        await setEvicted(true)
        let refused = try HTTPReply.get("/elsewhere", port: node.port)
        #expect(refused.status == 503 && refused.fields["retry-after"] == "1")
        clock.advance(milliseconds: 2500)
        try TestPeer.wait(for: "half of them to be closed", among: peers) {
            peers.count { $0.closeEvent != nil } == 5
        }
        let reason = "the node has lost its cluster; connect again"
        for peer in peers where peer.closeEvent != nil {
            #expect(peer.closeEvent == .close(code: 1013, reason: reason))
        }
        await setEvicted(false)
        clock.advance(milliseconds: 10_000)
        let others = peers.filter { $0.closeEvent == nil } + [try node.peer("eve", in: "room")]
        for peer in others { try peer.send(ConversationsFrames.message("still here")) }
        try TestPeer.wait(for: "answers", among: others) {
            others.allSatisfy { peer in peer.texts.contains { $0.contains("still here") } }
        }
        #expect(others.count == 6)
    }
}
