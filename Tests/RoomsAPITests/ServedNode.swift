import Bytes
import ChatModel
import Configuration
import ConversationsDialect
import Gateway
import GatewayTestSupport
import Identity
import PetsDialect
import RoomsAPI
import RoomsDialect
import SeededRandom
import TestKit
import Testing

/// A node that serves the API over sockets.
final class ServedNode {
    static let root = "/api/conversations"

    private let node: TestNode
    var port: UInt16 { self.node.port }
    var gateway: Gateway { self.node.gateway }
    var store: StoreGate { self.node.store }

    init(
        loops: Int = 2, store: TestNode.EmbeddedStoreKind = .memory, history: Int = 10_000,
        _ change: (inout TestNode.NodeOptions) throws -> Void = { _ in }
    ) throws {
        let api = RoomsAPI()
        // The rules for pages of other origins also hold for Engine.IO.
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        self.node = try TestNode(
            loops: loops, store: store, history: history,
            dialects: [ConversationsDialect(), PetsDialect(), rooms]
        ) { setup in
            setup.settings.allowsAnonymous = true
            setup.routes = api.routes
            try change(&setup)
        }
        api.open(self.node.gateway)
    }

    func get(_ path: String = "", by user: String? = nil, fields: [String: String] = [:]) throws
        -> HTTPReply
    {
        try .get(Self.root + path, port: self.port, fields: self.fields(user, fields))
    }

    func post(
        _ path: String, _ body: String, by user: String? = nil, fields: [String: String] = [:]
    ) throws -> HTTPReply {
        try .post(Self.root + path, body, port: self.port, fields: self.fields(user, fields))
    }

    /// Sends a request of a user with a token.
    func request(_ method: String, _ path: String, _ body: String? = nil, token: String) throws
        -> HTTPReply
    {
        var fields = ["Authorization": "Bearer \(token)"]
        if let body {
            fields["Content-Type"] = "application/json"
            fields["Content-Length"] = "\(body.utf8.count)"
        }
        return try .request(
            method, Self.root + path, port: self.port, fields: fields, body: body ?? "")
    }

    /// Creates a conversation and returns its id.
    func create(_ title: String = "Tea", by user: String = "ann") throws -> String {
        let reply = try self.post(
            "/create", #"{"title":\#(jsonString(title)),"user_id":"\#(user)"}"#)
        guard reply.status == 201, let id = try JSONObject(reply.body)["room_id"] else {
            throw TestFailure(reply.body)
        }
        return id
    }

    func end(_ id: String, by user: String = "ann") throws {
        let reply = try self.post("/\(id)/end", #"{"user_id":"\#(user)"}"#)
        guard reply.status == 200 else { throw TestFailure(reply.body) }
    }

    func page(_ query: String) throws -> (ids: [String], next: String?) {
        let reply = try self.get("?\(query)")
        guard reply.status == 200 else { throw TestFailure(reply.body) }
        let body = try JSONObject(reply.body)
        return (
            try #require(body.objects("conversations")).compactMap { $0["room_id"] },
            body["next_cursor"]
        )
    }

    func client(_ user: String, in conversation: String) throws -> ConversationClient {
        try self.node.conversationClient(user, in: conversation)
    }

    private func fields(_ user: String?, _ fields: [String: String]) throws -> [String: String] {
        guard let user else { return fields }
        return fields.merging(["Authorization": "Bearer \(try TestNode.token(user, grants: .none))"]
        ) { $1 }
    }
}
