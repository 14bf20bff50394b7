import Foundation
import TestKit
import Testing

/// The deployment that clients connect to: one node, or a load balancer with several nodes.
enum Deployment: CaseIterable, CustomTestStringConvertible {
    case node, cluster
    /// Those of the present run: the cluster is part of `script/test --long`.
    static var usual: [Self] { TestRun.isLong ? self.allCases : [.node] }
    var testDescription: String { self == .node ? "at one node" : "at three nodes behind HAProxy" }
}

/// A running deployment, and tokens for it.
final class DeployedSystem {
    let port: UInt16
    /// Nil for a single node.
    let cluster: LocalCluster?
    private let secret: String
    private let server: ConfabServer?

    init(_ place: Deployment) throws {
        switch place {
        case .node:
            let server = try ConfabServer()
            (self.port, self.secret, self.server, self.cluster) = (
                server.port, ConfabServer.secret, server, nil
            )
        case .cluster:
            let cluster = try LocalCluster(["3"])
            self.secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
            (self.port, self.server, self.cluster) = (cluster.port, nil, cluster)
        }
    }

    var address: String { "http://127.0.0.1:\(self.port)" }

    func token(_ user: String, name: String? = nil, conversations: [String]? = nil) throws -> String
    {
        try ConfabServer.token(
            for: user, name: name, conversations: conversations, secret: self.secret)
    }

    /// The path for a conversation with the Conversations protocol.
    func path(
        to conversation: String, as user: String, name: String? = nil,
        conversations: [String]? = nil
    ) throws -> String {
        let token = try self.token(user, name: name, conversations: conversations)
        return "/conversations/\(conversation)/?token=\(token)"
    }
}
