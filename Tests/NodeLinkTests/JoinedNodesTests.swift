import Bytes
import ChatEngine
import ChatModel
import Cluster
import ClusterWire
import EventLoop
import Foundation
import RedisClient
import RedisStore
import Telemetry
import TestKit
import Testing

@testable import NodeLink

/// A node with one loop, without clients.
private final class LinkedNode {
    let loop: EventLoop
    let receiver = RecordingReceiver()
    let link: NodeLink

    init(_ server: RedisServer, _ incarnation: UInt64) throws {
        let url = try RedisURL(server.url)
        let redis = try RedisSettings(url)
        self.loop = try EventLoop.start(name: "node", tickPeriod: .milliseconds(20))
        let connection = LoopConnection(
            redis, store: RedisStoreSettings(clusterName: "chat", history: 10, url: url),
            on: self.loop, seed: incarnation)
        self.link = NodeLink(
            NodeLinkSettings(
                clusterName: "chat", redis: redis, key: AgentFixture.key,
                record: .sample(incarnation, name: "n\(incarnation)")),
            loops: [self.loop], connections: [connection], receiver: self.receiver,
            logger: Logger(level: .error, format: .text, writer: LogWriter()),
            callHandler: { "\(incarnation) answers \($0.topic)" })
    }

    deinit {
        self.loop.stop()
        self.loop.join()
    }

    /// The present one: a node that was too slow has joined again under another.
    var incarnation: UInt64 {
        get async { await self.link.clusterStatus().localNode }
    }
}

extension AgentSuites {
    @Suite("A node's link")
    struct JoinedNodesTests {
        private let server: RedisServer
        private let first: LinkedNode
        private let second: LinkedNode

        /// Two nodes that have joined.
        init() async throws {
            self.server = try RedisServer()
            self.first = try LinkedNode(self.server, 1)
            self.second = try LinkedNode(self.server, 2)
            for node in [self.first, self.second] {
                #expect(await node.link.waitUntilJoined(within: .seconds(600)))
            }
            try Deadline.wait(for: "a view of both") {
                [self.first, self.second].allSatisfy { node in
                    node.receiver.calls.contains { $0.hasSuffix("[1, 2]") }
                } ? () : nil
            }
        }

        @Test("carries calls to other nodes and their replies")
        func calls() async throws {
            // A reply that comes too late is left out, so a slow machine needs more than one call.
            let reply = try await Deadline.waitAsync(for: "a reply") {
                let reply = await self.first.link.call(
                    self.second.incarnation, NodeRequest("shards"))
                return reply == .failure(.noAnswer) ? nil : reply
            }
            #expect(reply == .success("2 answers shards"))
            try await Deadline.waitAsync(for: "the replies of both nodes, and no other") {
                let (first, second) = (await self.first.incarnation, await self.second.incarnation)
                let peers = [first, second, 3].map {
                    NodeLink.PeerNode(
                        incarnation: $0, record: nil, isDraining: false, silentFor: nil,
                        evictedFor: nil)
                }
                let answers = await self.second.link.askAll(
                    peers, NodeRequest("node"), isReading: false, isRedisSilent: false)
                let replies = answers.compactMapValues(\.text)
                return replies == [first: "1 answers node", second: "2 answers node"] ? () : nil
            }
        }

        /// Asks the first node directly, as a node with this incarnation and key.
        private func ask(
            _ topic: String, from sender: UInt64 = 2, to receiver: UInt64 = 1,
            key: ClusterKey = AgentFixture.key
        ) async -> String {
            let question = ControlMessage(
                .request, from: sender, to: receiver, id: 9, topic: topic, body: "{}")
            var sealed = ByteBuffer()
            question.write(to: &sealed, key: key)
            do throws(NodeLink.DirectRefusal) {
                let reply = try await self.first.link.answerDirectly(
                    sealed.bytes, topics: ["node"]
                ) { "answers \($0.topic)" }
                let message = try? ControlMessage(
                    reply.span.bytes, for: sender, key: AgentFixture.key)
                guard message?.id == 9, message?.kind == .reply else { return "another reply" }
                return message?.body ?? ""
            } catch {
                return error.description
            }
        }

        @Test("answers direct questions of nodes in the view that only read")
        func directQuestions() async throws {
            #expect(await self.ask("node") == "answers node")
            // A recorded question may be asked again, because it only reads.
            #expect(await self.ask("node") == "answers node")
            #expect(await self.ask("membership") == #"{"is_member":true}"#)
            #expect(await self.ask("membership", from: 3) == #"{"is_member":false}"#)
            #expect(await self.ask("drain") == "The node does not answer \"drain\" here.")
            #expect(
                await self.ask("node", from: 3) == "The sender is not in this node's view.")
            #expect(await self.ask("node", to: 7) == "The packet is for node 7.")
            let other = try #require(ClusterKey(secret: Array(repeating: 8, count: 32)))
            #expect(
                await self.ask("node", key: other)
                    == "The packet was sent with another key, or changed in transit.")
        }

        @Test("names the reason why a node cannot be asked directly")
        func directFailures() async throws {
            let link = self.second.link
            func failure(_ address: String?, host: String = "h") async -> String {
                var record = NodeRecord.sample(1, name: "n1")
                record.adminAddress = address
                record.host = host
                let peer = NodeLink.PeerNode(
                    incarnation: 1, record: record, isDraining: false, silentFor: nil,
                    evictedFor: nil)
                switch await link.callDirectly(peer, NodeRequest("node")) {
                case .success(let text): return text
                case .failure(let error): return error.description
                }
            }
            #expect(await failure(nil) == "its admin listener is off")
            #expect(
                await failure("0.0.0.0:8090")
                    == "its admin listener is at 0.0.0.0:8090, which names no host")
            #expect(
                await failure("127.0.0.1:8090", host: "elsewhere")
                    == "its admin listener is at 127.0.0.1:8090, which only its own host reaches")
            let port = try freePort()
            #expect(
                await failure("127.0.0.1:\(port)")
                    == "127.0.0.1:\(port): The connection was refused: no process listens at the "
                    + "address.")
            // Redis speaks no HTTP.
            let redis = "127.0.0.1:\(self.server.port)"
            #expect(await failure(redis).hasPrefix("\(redis): "))
            try self.server.freeze()
            #expect(await failure(redis) == "\(redis): no answer within 1.3 s")
            self.server.unfreeze()
        }

        @Test("carries messages and envelopes to the loops of other nodes in the view")
        func messages() throws {
            let (link, loop) = (self.first.link, self.first.loop)
            loop.execute {
                let sender = LoopID(incarnation: 1, loop: 0)
                link.send(RemoteLoopMessage(to: 0, "hello"), to: 2, from: sender)
                link.send(
                    [
                        Envelope(
                            from: sender, to: LoopID(incarnation: 2, loop: 0), number: 5, view: 1,
                            items: [.reattach(ConversationKey(tenant: "t", id: "c"))])
                    ], from: 0)
            }
            for call in ["message hello to loop 0 from 1", "envelope 5"] {
                try Deadline.wait(for: call) {
                    self.second.receiver.calls.contains(call) ? () : nil
                }
            }
        }

        @Test("reports the cluster, and the events that the nodes have recorded")
        func status() async throws {
            let status = await self.second.link.clusterStatus()
            #expect(status.localNode == 2)
            #expect(status.view?.nodes.map(\.incarnation) == [1, 2])
            #expect(status.redisMode == "standalone")
            #expect(status.redisServers == ["127.0.0.1:\(self.server.port)"])
            #expect(await self.second.link.inspectRedis()?.info.isEmpty == false)
            #expect(await self.second.link.measureStreams() == 0)

            self.first.link.record("drain", [.init("seconds", "5")])
            let details = try await self.newestEvent("drain")
            #expect(details["seconds"] == "5")
            #expect(details["name"] == "n1" && details["node"] == "1")
        }

        private func newestEvent(_ name: String) async throws -> NodeLink.Event {
            try await Deadline.waitAsync(for: "the event \(name)") {
                let events = await self.second.link.events(in: .before(nil), limit: 10) ?? []
                return events.last { $0["event"] == name }
            }
        }

        @Test("hands all shards over, takes its share back, and leaves")
        func leaving() async throws {
            // A node that has just joined owns no shard yet.
            try self.waitForShards()
            await self.first.link.handOver(within: .seconds(600))
            #expect(self.first.link.joinState.hasHandedOver)
            #expect(self.first.link.joinState.isDraining)
            try await self.wait(for: "a view in which the other node owns all", at: self.first) {
                view, own in
                (0..<Shard.count).allSatisfy { view.owner(of: $0).incarnation != own }
            }

            self.first.link.resume()
            try self.waitForShards()
            await self.first.link.leave(within: .seconds(600))
            #expect(!self.first.link.joinState.isJoined)
            try await self.wait(for: "a view without the node", at: self.second) {
                view, own in view.nodes.map(\.incarnation) == [own]
            }
        }

        /// Waits for a view at a node, whose present incarnation is `own`.
        private func wait(
            for description: String, at node: LinkedNode,
            until condition: (_ view: View, _ own: UInt64) -> Bool
        ) async throws {
            try await Deadline.waitAsync(for: description) {
                let status = await node.link.clusterStatus()
                return status.view.map { condition($0, status.localNode) } == true ? () : nil
            }
        }

        private func waitForShards() throws {
            try Deadline.wait(for: "the node's share") {
                self.first.link.joinState.hasHandedOver ? nil : ()
            }
        }

        @Test("says why it cannot reach Redis, and recovers")
        func outage() async throws {
            try self.server.crash()
            try Deadline.wait(for: "the outage") {
                self.first.link.joinState.outage == nil ? nil : ()
            }
            try self.server.restart()
            try Deadline.wait(for: "the recovery") {
                self.first.link.joinState.outage == nil && self.first.link.joinState.isJoined
                    ? () : nil
            }
            let reply = await self.first.link.call(2, NodeRequest("shards"))
            #expect(reply == .success("2 answers shards") || reply == .failure(.noAnswer))
        }
    }
}
