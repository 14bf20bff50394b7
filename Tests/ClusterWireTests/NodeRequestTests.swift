import Bytes
import ChatModel
import Testing

@testable import ClusterWire

@Suite("A request between nodes")
struct NodeRequestTests {
    private static let key = ConversationKey(tenant: "t", id: "grüße \"x\"")

    @Test(
        "is read as it was written",
        arguments: [
            .nodeRow, .shards, .storedPosition(Self.key), .redisRow, .resume,
            .drain(deadlineSeconds: nil, rate: nil), .drain(deadlineSeconds: 0.5, rate: nil),
            .drain(deadlineSeconds: 86_400, rate: 1),
        ] as [NodeRequest])
    func roundTrip(_ request: NodeRequest) {
        #expect(NodeRequest(topic: request.topic, body: request.body) == request)
        let message = ControlMessage(
            .request, from: 1, to: 2, id: 3, topic: request.topic, body: request.body)
        #expect(message.isWithinLimits)
    }

    @Test("has the topics and members that nodes of every version use")
    func wire() {
        #expect(NodeRequest.nodeRow.body == "{}")
        #expect(
            NodeRequest.storedPosition(ConversationKey(tenant: "t", id: "c")).body
                == #"{"conversation":"c","tenant":"t"}"#)
        #expect(
            NodeRequest.drain(deadlineSeconds: 30, rate: 5).body == #"{"deadline":30.0,"rate":5}"#)
        #expect(
            [
                NodeRequest.nodeRow, .shards, .storedPosition(Self.key), .redisRow, .resume,
                .drain(deadlineSeconds: nil, rate: nil),
            ].map(\.topic) == ["node", "shards", "stored", "redis", "resume", "drain"])
    }

    @Test("of an earlier version, with the whole body of an operator's request, is understood")
    func earlierVersion() {
        let body = #"{"node":"n1","deadline":30,"rate":5,"dry_run":false}"#
        #expect(
            NodeRequest(topic: "drain", body: body) == .drain(deadlineSeconds: 30, rate: 5))
        #expect(NodeRequest(topic: "resume", body: #"{"node":"n1"}"#) == .resume)
    }

    @Test("of a later version: unknown members are skipped, and unknown topics are not answered")
    func laterVersion() {
        #expect(NodeRequest(topic: "shards", body: #"{"since":[1,{}]}"#) == .shards)
        #expect(NodeRequest(topic: "weather", body: "{}") == nil)
    }

    @Test(
        "with a malformed body is rejected",
        arguments: [
            ("node", ""), ("stored", "{}"), ("stored", #"{"conversation":1,"tenant":"t"}"#),
        ])
    func malformed(topic: String, body: String) {
        #expect(NodeRequest(topic: topic, body: body) == nil)
    }
}
