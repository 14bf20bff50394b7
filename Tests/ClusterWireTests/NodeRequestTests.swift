import JSON
import Testing

@testable import ClusterWire

@Suite("A request between nodes")
struct NodeRequestTests {
    @Test(
        "is read as it was written",
        arguments: [
            NodeRequest("node"), NodeRequest("drain", [.init("deadline", .number("0.5"))]),
            NodeRequest("stored", [.init("conversation", "grüße \"x\""), .init("tenant", "t")]),
        ])
    func roundTrip(_ request: NodeRequest) {
        #expect(NodeRequest(topic: request.topic, body: request.body) == request)
        let message = ControlMessage(
            .request, from: 1, to: 2, id: 3, topic: request.topic, body: request.body)
        #expect(message.isWithinLimits)
    }

    @Test("has a JSON object as its body")
    func wire() {
        #expect(NodeRequest("node").body == "{}")
        #expect(
            NodeRequest("stored", [.init("conversation", "c"), .init("tenant", "t")]).body
                == #"{"conversation":"c","tenant":"t"}"#)
    }

    @Test("with a malformed body is rejected", arguments: ["", "[]", "1", "{"])
    func malformed(body: String) {
        #expect(NodeRequest(topic: "node", body: body) == nil)
    }
}
