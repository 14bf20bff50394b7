import Bytes
import Cluster
import ClusterWire
import EventLoop
import JSON
import RedisClient
import TestKit
import Testing

@testable import NodeLink

/// Node 1 of the view 1, 2, with the calls that it makes and answers.
private final class CallsFixture {
    let agent: AgentFixture
    let calls: NodeCalls
    /// The requests that were handled. The answer is the topic.
    let handled = ReplyList<String>()

    init(isConnected: Bool = true) throws {
        let agent = try AgentFixture(try RedisServer(), isConnected: isConnected)
        self.agent = agent
        let problems = ProblemReporter(
            on: agent.loop, redisKeys: agent.redisKeys, isRedisCluster: false,
            receiver: agent.receiver, logger: agent.logger)
        let membership = ClusterMembershipShell(
            .sample(1, name: "n1"), on: agent.loop, redis: agent.redis,
            redisKeys: agent.redisKeys, mailbox: LoopBound(MailboxMonitor(at: 0), on: agent.loop),
            problems: problems, receiver: agent.receiver, logger: agent.logger)
        let handled = self.handled
        self.calls = NodeCalls(
            on: agent.loop, redis: agent.redis, membership: membership,
            handler: { request in
                handled.add(request.topic)
                return request.topic == "?" ? nil : "answer to \(request.topic)"
            })
        agent.run {
            let view = View(
                number: 1, nodes: [1, 2].map { View.Node(incarnation: $0, loops: 1) })
            membership.perform {
                $0.receive(
                    ClusterMembership.HeartbeatReply(
                        time: 0, number: 1, views: [view], heartbeats: [:]),
                    at: 0)
            }
        }
    }

    func request(_ topic: String, from node: UInt64, id: UInt64) -> ControlMessage {
        ControlMessage(.request, from: node, to: 1, id: id, topic: topic, body: "{}")
    }
}

/// Reads what is published to the mailbox of node 2.
private final class MailboxReader: RedisSubscriberUser {
    let messages = ReplyList<ControlMessage>()
    private let isSubscribed = ReplyList<Bool>()

    func redisSubscribed(to channel: UnsafeRawBufferPointer) { self.isSubscribed.add(true) }
    func redisPublished(_ payload: UnsafeRawBufferPointer, in channel: UnsafeRawBufferPointer) {
        if let message = try? ControlMessage(payload.bytes, for: 2, key: AgentFixture.key) {
            self.messages.add(message)
        }
    }
    func redisSubscriberChanged(_ state: RedisClient.State) {}

    /// The subscriber must live as long as the test.
    func start(_ agent: AgentFixture) throws -> RedisSubscriber {
        let settings = try RedisSettings(RedisURL(agent.server.url))
        let subscriber = RedisSubscriber(settings, on: agent.loop, seed: 3, user: self)
        agent.run { [redisKeys = agent.redisKeys] in
            subscriber.start()
            subscriber.subscribe(to: redisKeys.mailbox(2))
        }
        _ = try self.isSubscribed.first()
        return subscriber
    }
}

extension AgentSuites {
    @Suite("The calls of a node")
    struct NodeCallsTests {
        private typealias CallResult = Result<String, NodeCallError>

        @Test("arrive at the called node, and end with its reply only")
        func replies() throws {
            let fixture = try CallsFixture()
            let mailbox = MailboxReader()
            let subscriber = try mailbox.start(fixture.agent)
            let results = ReplyList<CallResult>()
            fixture.calls.call(2, NodeRequest("shards")) { results.add($0) }
            let request = try mailbox.messages.first()
            #expect(request.kind == .request && request.topic == "shards" && request.from == 1)
            func reply(from node: UInt64, _ body: String) {
                let message = ControlMessage(
                    .reply, from: node, to: 1, id: request.id, topic: "shards", body: body)
                fixture.agent.run { [calls = fixture.calls] in calls.replied(message) }
            }
            reply(from: 3, "forged")
            #expect(results.all == [])
            reply(from: 2, "mine")
            reply(from: 2, "late")
            #expect(results.all == [.success("mine")])
            withExtendedLifetime(subscriber) {}
        }

        @Test("fail at once if the called node has no mailbox, or there is no connection")
        func noNode() throws {
            let fixture = try CallsFixture()
            let results = ReplyList<CallResult>()
            fixture.calls.call(2, NodeRequest("shards")) { results.add($0) }
            #expect(try results.first() == .failure(.noAnswer))

            let unconnected = try CallsFixture(isConnected: false)
            unconnected.calls.call(2, NodeRequest("shards")) { results.add($0) }
            unconnected.agent.run {}
            #expect(results.all == [.failure(.noAnswer), .failure(.noAnswer)])
        }

        @Test("fail after two seconds without a reply")
        func timeout() throws {
            let fixture = try CallsFixture()
            let mailbox = MailboxReader()
            let subscriber = try mailbox.start(fixture.agent)
            let results = ReplyList<CallResult>()
            let before = fixture.agent.run { NodeAgent.now }
            fixture.calls.call(2, NodeRequest("shards")) { results.add($0) }
            let after = fixture.agent.run { NodeAgent.now }
            func expire(at time: Int64) {
                fixture.agent.run { [calls = fixture.calls] in calls.expireCalls(at: time) }
            }
            expire(at: before + PendingCalls.timeout - 1)
            #expect(results.all == [])
            expire(at: after + PendingCalls.timeout)
            #expect(results.all == [.failure(.noAnswer)])
            withExtendedLifetime(subscriber) {}
        }

        @Test("are rejected if the request is too long, or too many calls are pending")
        func limits() throws {
            let fixture = try CallsFixture()
            try fixture.agent.server.freeze()
            defer { fixture.agent.server.unfreeze() }
            let long = String(repeating: "x", count: ControlMessage.byteLimit)
            let results = ReplyList<CallResult>()
            fixture.calls.call(
                2, NodeRequest("stored", [.init("conversation", .string(long))])
            ) { results.add($0) }
            #expect(try results.first() == .failure(.tooLong))
            // The rejected call is not pending.
            let pending = ReplyList<CallResult>()
            for _ in 0..<PendingCalls.callLimit {
                fixture.calls.call(2, NodeRequest("shards")) { pending.add($0) }
            }
            fixture.agent.run {}
            #expect(pending.all == [])
            fixture.calls.call(2, NodeRequest("shards")) { results.add($0) }
            fixture.agent.run {}
            #expect(results.all == [.failure(.tooLong), .failure(.tooMany)])
        }

        @Test("of other nodes in the view are answered once")
        func requests() throws {
            let fixture = try CallsFixture()
            let mailbox = MailboxReader()
            let subscriber = try mailbox.start(fixture.agent)
            let requests = [
                // One from a node outside the view, an unknown one, and three valid ones.
                fixture.request("shards", from: 3, id: 1), fixture.request("?", from: 2, id: 1),
                fixture.request("shards", from: 2, id: 2),
                fixture.request("shards", from: 2, id: 2), fixture.request("node", from: 2, id: 3),
            ]
            for request in requests {
                fixture.agent.run { [calls = fixture.calls] in calls.requested(request) }
            }
            // The unknown request has no reply, and its task may run after those of the others.
            try Deadline.wait(
                for: "the replies",
                untilTrue: {
                    mailbox.messages.all.count >= 2 && fixture.handled.all.count >= 3
                })
            let replies = mailbox.messages.all.sorted { $0.id < $1.id }
            #expect(replies.map(\.id) == [2, 3])
            #expect(replies.map(\.body) == ["answer to shards", "answer to node"])
            #expect(replies.allSatisfy { $0.kind == .reply && $0.from == 1 && $0.to == 2 })
            #expect(fixture.handled.all.sorted() == ["?", "node", "shards"])
            withExtendedLifetime(subscriber) {}
        }

        @Test("of other nodes occupy no place once they are answered, even if they are unknown")
        func answeredRequests() throws {
            let fixture = try CallsFixture()
            for id in 1...UInt64(PendingCalls.requestLimit) {
                let request = fixture.request("?", from: 2, id: id)
                fixture.agent.run { [calls = fixture.calls] in calls.requested(request) }
            }
            // Requests beyond the limit are dropped until the earlier ones are answered.
            var id: UInt64 = 1000
            try Deadline.wait(for: "the last request") {
                id += 1
                let request = fixture.request("node", from: 2, id: id)
                fixture.agent.run { [calls = fixture.calls] in calls.requested(request) }
                return fixture.handled.all.contains("node") ? () : nil
            }
        }
    }
}
