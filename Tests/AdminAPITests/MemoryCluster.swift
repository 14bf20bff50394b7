import Bytes
import ChatModel
import ClusterWire
import Configuration
import EventLoop
import Gateway
import GatewayTestSupport
import HTTPWire
import JSON
import NodeLink
import Stores
import Telemetry
import TestKit
import Testing

@testable import AdminAPI

/// Nodes of this process that form a cluster without Redis: `n1`, `n2` … They share a store in
/// memory, and answer each other's requests.
final class MemoryCluster {
    struct MemberNode {
        let node: TestNode
        let admin: ClusterAdmin
    }

    let membership = MemoryMembership()
    let members: [MemberNode]

    /// - Parameter names: two nodes may have the same name, which is a mistake of operators.
    init(_ names: String...) throws {
        var members: [MemberNode] = []
        for (index, name) in names.enumerated() {
            let incarnation = UInt64(index + 1)
            let node = try TestNode(sharingStoreOf: members.first?.node) {
                $0.settings.incarnation = incarnation
            }
            let record = NodeRecord(
                incarnation: incarnation, name: name, address: node.gateway.clientAddress.text,
                host: "here", version: "0", loops: 1, startedAt: WallClock.now)
            let admin = ClusterAdmin(
                record: record, clusterName: "confab", store: .redis, waitReplicas: nil,
                drain: .seconds(30), logger: node.logger)
            admin.attach(node.gateway)
            node.gateway.connectRelay { [membership] receiver, _ in
                let link = MemoryLink(incarnation, in: membership)
                admin.attach(link)
                membership.join(record, receiver) { [weak admin] in await admin?.answer($0) }
                return link
            }
            members.append(MemberNode(node: node, admin: admin))
        }
        self.members = members
    }

    /// The document of a verb that this node answers.
    func ask(_ verb: String, _ values: KeyValuePairs<String, JSONTree> = [:], at number: Int = 1)
        async throws(HTTPError) -> JSONTree
    {
        try await self.members[number - 1].admin.ask(verb, values)
    }

    /// The error with which this node answers; nil if it answers.
    func error(of verb: String, _ values: KeyValuePairs<String, JSONTree>, at number: Int = 1) async
        -> String?
    {
        do throws(HTTPError) {
            _ = try await self.ask(verb, values, at: number)
            return nil
        } catch {
            return "\(error.status.rawValue) \(error.message)"
        }
    }

    /// The rows under a key of a verb's document.
    func rows(
        _ verb: String, _ key: String, _ values: KeyValuePairs<String, JSONTree> = [:],
        at number: Int = 1
    ) async throws -> [JSONTree] {
        try #require(try await self.ask(verb, values, at: number)[key]?.elements)
    }

    /// Asks until the document satisfies the condition: loops learn some facts a moment later.
    func document(
        _ verb: String, _ values: KeyValuePairs<String, JSONTree> = [:], at number: Int = 1,
        where condition: (JSONTree) -> Bool
    ) async throws -> JSONTree {
        try await Deadline.waitAsync(for: verb) {
            let document = try await self.ask(verb, values, at: number)
            // `nil` would be a JSON document.
            return condition(document) ? .some(document) : .none
        }
    }

    func node(_ number: Int) -> TestNode { self.members[number - 1].node }

    func client(_ user: String, at number: Int, in room: String = "lobby") throws
        -> ConversationClient
    {
        try self.node(number).conversationClient(user, in: room)
    }
}

extension ClusterAdmin {
    /// The document of a verb, as its path returns it.
    func ask(_ verb: String, _ values: KeyValuePairs<String, JSONTree> = [:])
        async throws(HTTPError) -> JSONTree
    {
        guard let row = OperatorVerb.named(verb), let path = row.path,
            let handler = self.handlers[path]
        else { preconditionFailure("there is no verb \(verb)") }
        let request = try AdminRequest(
            row, values.map { .init($0.key, $0.value) }, isQuery: true, operatorName: "test")
        return AdminRouter.completed(try await handler(request), row)
    }
}
