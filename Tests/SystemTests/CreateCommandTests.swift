import TestKit
import TestTraits
import Testing

@Suite("Conversations that operators create", .programs, .ownThread)
struct CreateCommandTests {
    /// The conversation as a user sees it.
    private func conversation(_ id: String, for client: RESTClient) throws -> JSONObject {
        let reply = try client.request("GET", "/\(id)")
        return try #require(JSONObject(reply.body).object("conversation"), "\(reply)")
    }

    private func listed(for client: RESTClient) throws -> [String?] {
        let reply = try JSONObject(client.request("GET", "").body)
        return reply.objects("conversations")?.map { $0["room_id"] } ?? []
    }

    @Test("are closed or open, have members and no creator, and the command prints id and link")
    func create() throws {
        let server = try ConfabServer(["--anonymous", "off"])
        let port = server.adminPort
        let ann = try RESTClient("ann", at: server, conversations: [])
        let eve = try RESTClient("eve", at: server, conversations: [])
        let made = try confab(
            "create", "--title", "Order 1042", "--closed", "--member", "ann", "--member", "bob",
            "--yes", at: port)
        #expect(made.status == 0, "\(made)")
        let words = made.output.split(separator: " ").map(String.init)
        try #require(words.count == 2)
        #expect(words[1] == "http://127.0.0.1:\(server.port)/conversation/\(words[0])")
        let order = try self.conversation(words[0], for: ann)
        #expect(order["title"] == "Order 1042" && order["access"] == "closed")
        #expect(order["created_by"] == nil && order.bool("listed") == false)
        #expect(order.objects("participants")?.map { $0["user_id"] } == ["ann", "bob"])
        #expect(try eve.request("GET", "/\(words[0])").status == 404)
        #expect(try ann.request("POST", "/\(words[0])/end", "{}").status == 403)
        #expect(try self.listed(for: ann) == [words[0]])

        let open = try confab("create", "--title", "Tea", "--yes", "--output", "json", at: port)
        let id = try #require(try open.document["conversation"])
        #expect(try open.document["link"]?.hasSuffix("/conversation/\(id)") == true)
        #expect(try self.conversation(id, for: eve)["access"] == "open")
        #expect(try self.listed(for: eve) == [id])
        #expect(try confab("create", "--unlisted", "--yes", at: port).status == 0)
        #expect(try self.listed(for: eve) == [id])
        #expect(
            try confab("events", "--type", "create", "--output", "json", at: port)
                .rows("events").count == 3)
    }

    @Test("are described by --dry-run, need a confirmation, and have no guests as members")
    func refusals() throws {
        let server = try ConfabServer(["--default-access", "closed"])
        let port = server.adminPort
        let plan = try confab("create", "--member", "ann", "--dry-run", at: port)
        #expect(
            plan.output == "would create a closed conversation of tenant default with 1 members")
        #expect(try confab("create", at: port).status == 2)
        let guest = try confab("create", "--member", "guest:ann", "--yes", at: port)
        #expect(guest.status == 1 && guest.errors.contains("guest:ann is a guest"), "\(guest)")
        let made = try RESTClient("ann", at: server, conversations: []).request(
            "POST", "/create", #"{"title":"Tea"}"#)
        #expect(made.body.contains(#""access":"closed","listed":false"#), "\(made)")
    }
}
