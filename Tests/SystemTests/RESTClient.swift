import TestKit

/// A bot or backend that uses the REST API of one node with a token.
struct RESTClient {
    static let root = "/api/conversations"

    let port: UInt16
    let token: String

    /// - Parameter path: below `root`.
    func request(_ method: String, _ path: String, _ body: String = "") throws -> HTTPReply {
        var fields = ["Authorization": "Bearer \(self.token)"]
        if !body.isEmpty {
            fields["Content-Type"] = "application/json"
            fields["Content-Length"] = "\(body.utf8.count)"
        }
        return try .request(method, Self.root + path, port: self.port, fields: fields, body: body)
    }

    /// Sends a message. Another admin's user is named by `other`, which is also its display name.
    func send(
        _ content: String, to room: String, as localID: String? = nil, for other: String? = nil
    )
        throws -> HTTPReply
    {
        let id = localID.map { #","local_id":\#(jsonString($0))"# } ?? ""
        let other = other.map { #","as":{"user_id":"\#($0)","username":"\#($0)"}"# } ?? ""
        return try self.request(
            "POST", "/\(room)/messages", #"{"content":\#(jsonString(content))\#(id)\#(other)}"#)
    }

    /// Creates an open conversation and returns its id.
    func create() throws -> String {
        let reply = try self.request("POST", "/create", #"{"title":"Tea"}"#)
        guard reply.status == 201, let id = try JSONObject(reply.body)["room_id"] else {
            throw TestFailure("\(reply)")
        }
        return id
    }

    /// The whole retained history, oldest first.
    func history(of room: String) throws -> [JSONObject] {
        var all: [JSONObject] = []
        while true {
            let query = "after=\(all.last?["id"] ?? "0")&limit=100"
            let reply = try self.request("GET", "/\(room)/messages?\(query)")
            guard reply.status == 200, let page = try JSONObject(reply.body).objects("messages")
            else { throw TestFailure("\(reply)") }
            if page.isEmpty { return all }
            all += page
        }
    }
}

extension RESTClient {
    init(
        _ user: String, at server: ConfabServer, name: String? = nil,
        conversations: [String]? = nil, isAdmin: Bool = false
    ) throws {
        self.port = server.port
        self.token = try ConfabServer.token(
            for: user, name: name, conversations: conversations, isAdmin: isAdmin)
    }
}
