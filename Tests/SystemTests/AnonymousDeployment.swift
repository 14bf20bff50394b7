import Foundation
import TestKit
import Testing

/// The store and number of nodes for the members of one conversation.
enum StoreDeployment: CaseIterable, CustomTestStringConvertible {
    case memory, sqlite, redis, sentinel, cluster
    /// Those of the present run: the others are part of `script/test --long`.
    static var usual: [Self] { TestRun.isLong ? self.allCases : [.sqlite, .redis] }

    var testDescription: String {
        switch self {
        case .memory: "a node with its messages in memory"
        case .sqlite: "a node with its messages in SQLite"
        case .redis: "two nodes on one Redis"
        case .sentinel: "two nodes on a Redis that sentinels watch"
        case .cluster: "two nodes on a Redis Cluster"
        }
    }
}

/// Nodes that accept anonymous users. Guests connect to the first node, readers to the last.
final class AnonymousDeployment {
    static let root = "/api/conversations"

    /// Keeps the Redis servers alive.
    private let redis: Any?
    let servers: [ConfabServer]
    var guestServer: ConfabServer { self.servers[0] }
    var readerServer: ConfabServer { self.servers[self.servers.count - 1] }

    init(_ deployment: StoreDeployment = .memory, _ options: [String] = ["--anonymous", "on"])
        throws
    {
        let url: String
        switch deployment {
        case .memory, .sqlite:
            self.redis = nil
            self.servers = [
                try ConfabServer(options, store: deployment == .sqlite ? .sqlite : .memory)
            ]
            return
        case .redis:
            let server = try RedisServer()
            (self.redis, url) = (server, server.url)
        case .sentinel:
            let sentinelServers = try RedisSentinelServers()
            (self.redis, url) = (sentinelServers, sentinelServers.url)
        case .cluster:
            let servers = try RedisClusterServers()
            (self.redis, url) = (servers, servers.url())
        }
        self.servers = try (0..<2).map { _ in try ConfabServer(options + ["--store", url]) }
        for server in self.servers { try server.awaitShardBalance(of: 2) }
    }

    /// Creates an open conversation as a user with a token.
    func createConversation(by user: String) throws -> String {
        let reply = try HTTPReply.post(
            "\(Self.root)/create", #"{"title":"Tea"}"#, port: self.readerServer.port,
            fields: ["Authorization": "Bearer \(try ConfabServer.token(for: user))"])
        guard reply.status == 201, let id = try JSONObject(reply.body)["room_id"] else {
            throw TestFailure(reply.body)
        }
        return id
    }

    func post(_ path: String, _ body: String, token: String? = nil) throws -> HTTPReply {
        let fields = token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
        return try HTTPReply.post(
            Self.root + path, body, port: self.guestServer.port, fields: fields)
    }

    func get(_ path: String) throws -> HTTPReply {
        try HTTPReply.get(Self.root + path, port: self.guestServer.port)
    }
}
