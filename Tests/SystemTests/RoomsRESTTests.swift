import Foundation
import TestKit
import TestTraits
import Testing

@Suite("The REST API of the Rooms protocol", .programs, .ownThread)
struct RoomsRESTTests {
    private static let root = "/api/conversations"

    /// Rules that the OpenAPI document cannot express: valid cursors, that a user must be named
    /// without a token, and that a conversation may have ended.
    private static let schemathesisConfig = """
        [[operations]]
        include-path = "\(root)"
        [operations.checks.positive_data_acceptance]
        expected-statuses = ["2xx", 304, 400, 401, 403]

        # Also not both `before` and `after`, that a search needs a letter or a digit, that a closed
        # conversation is not listed, and that members are no guests.
        [[operations]]
        include-path-regex = "/(create|join|end|leave|messages|members|re|search)|roomId.$"
        [operations.checks.positive_data_acceptance]
        expected-statuses = ["2xx", 304, 400, 401, 403, 404, 409, 410]
        """

    /// Sends some hundred valid and invalid requests, with --long some thousand, single and in
    /// sequences, and checks the responses against the document. The number is fixed, so that a
    /// slow machine tests as much.
    private func runSchemathesis(
        _ server: ConfabServer, fields: [String] = [], options: [String] = []
    ) throws -> (
        exitStatus: ChildProcess.ExitStatus, output: String
    ) {
        let config = try server.folder.write(Self.schemathesisConfig, to: "schemathesis.toml")
        let arguments =
            [
                "--config-file", config, "run", Checkout.file("docs/protocols/rooms.openapi.json"),
                "--url", "http://127.0.0.1:\(server.port)", "--checks", "all", "--max-examples",
                TestRun.isLong ? "60" : "12", "--seed", "1",
                "--generation-database", "none", "--no-color",
            ] + fields.flatMap { ["--header", $0] } + options
        let result = try run(
            Checkout.program("schemathesis"), arguments, folder: server.folder.path,
            within: .seconds(300))
        return (result.exitStatus, result.output + result.errors)
    }

    /// The many requests of the test come from few connections.
    private static let limits = [
        "--limit", "messages-per-second=100000", "--limit", "message-burst=100000",
    ]

    @Test("matches its OpenAPI document, with a token and without")
    func matchesOpenAPIDocument() throws {
        let open = try ConfabServer(["--anonymous", "on"] + Self.limits)
        // Sequences send the token that `create` returned to a guest. It is valid, but Schemathesis
        // expects that no token is valid except those that it was given.
        let anonymousRun = try self.runSchemathesis(
            open, options: ["--exclude-checks", "ignored_auth"])
        #expect(anonymousRun.exitStatus == .exited(0), "\(anonymousRun.output)")
        let closed = try ConfabServer(["--anonymous", "off"] + Self.limits)
        let authenticatedRun = try self.runSchemathesis(
            closed, fields: ["Authorization: Bearer \(ConfabServer.token(for: "ann"))"])
        #expect(authenticatedRun.exitStatus == .exited(0), "\(authenticatedRun.output)")
        for result in [anonymousRun, authenticatedRun] {
            #expect(result.output.contains("Tested: 31"), "\(result.output)")
        }
        // Requests passed authentication. Without a token, some operations are refused. A dozen
        // requests of an operation may all be about other users' conversations.
        if TestRun.isLong {
            #expect(!authenticatedRun.output.contains("Authentication failed"))
        }
    }

    @Test(
        "accepts the published examples as printed",
        .published(.rooms))
    func publishedExamples() throws {
        let server = try ConfabServer(["--anonymous", "on"])
        let bodies = try PublishedDocument.rooms.blocks("bash").flatMap { block in
            block.matches(of: /-d '((?s).*?)'/).map { String($0.1) }
        }
        #expect(bodies.count == 2)
        let created = try HTTPReply.post("\(Self.root)/create", bodies[0], port: server.port)
        #expect(created.status == 201)
        let id = try #require(try JSONObject(created.body)["room_id"])
        #expect(
            try HTTPReply.post("\(Self.root)/\(id)/join", bodies[1], port: server.port).status
                == 200)
    }

    @Test("gives the same answers at two nodes", .long)
    func twoNodes() throws {
        let redis = try RedisServer()
        let options = ["--store", redis.url, "--anonymous", "on", "--origins", "own"]
        let servers = try [ConfabServer(options), ConfabServer(options)]
        for server in servers { try server.awaitShardBalance(of: servers.count) }
        let (east, west) = (servers[0].port, servers[1].port)
        func get(_ path: String, at port: UInt16) throws -> JSONObject {
            let reply = try HTTPReply.get(Self.root + path, port: port)
            guard reply.status == 200 else {
                throw TestFailure("\(path): \(reply.status) \(reply.body)")
            }
            return try JSONObject(reply.body)
        }
        func post(_ path: String, _ body: String, at port: UInt16) throws -> HTTPReply {
            try HTTPReply.post(Self.root + path, body, port: port)
        }

        // Created at one node, joined at the other, and equal at both.
        var ids: [String] = []
        for number in 0..<13 {
            let created = try post(
                "/create", #"{"title":"room \#(number)","user_id":"ann"}"#,
                at: number % 2 == 0 ? east : west)
            #expect(created.status == 201)
            ids.insert(try #require(try JSONObject(created.body)["room_id"]), at: 0)
            // The list has no order for two conversations of one millisecond.
            usleep(2000)
        }
        for (index, id) in ids.enumerated() {
            let joined = try post(
                "/\(id)/join", #"{"user_id":"bob","username":"Bob"}"#,
                at: index % 2 == 0 ? east : west)
            #expect(joined.status == 200)
        }
        let reader = try servers[0].connect("carol", to: ids[0])
        try reader.synchronize()
        try reader.post("heard everywhere")
        for id in ids { #expect(try get("/\(id)", at: east).text == get("/\(id)", at: west).text) }
        let conversation = try get("/\(ids[0])", at: west)
        #expect(conversation.objects("messages")?.map { $0["content"] } == ["heard everywhere"])
        #expect(
            conversation.object("conversation")?.objects("participants")?.map { $0["user_id"] } == [
                "ann", "bob", "carol",
            ])
        #expect(
            conversation.object("conversation")?.objects("participants")?.last?.bool("online")
                == true)

        // The pages come from both nodes in turn. Meanwhile one listed conversation is ended and
        // others are created.
        var listedIDs: [String] = []
        var cursor: String?
        var pageCount = 0
        repeat {
            let page = try get(
                "?limit=4" + (cursor.map { "&cursor=\($0)" } ?? ""),
                at: pageCount % 2 == 0 ? east : west
            )
            listedIDs += page.objects("conversations")?.compactMap { $0["room_id"] } ?? []
            cursor = page["next_cursor"]
            if pageCount == 0 {
                #expect(try post("/\(ids[9])/end", #"{"user_id":"ann"}"#, at: west).status == 200)
                #expect(
                    try post("/create", #"{"title":"late","user_id":"ann"}"#, at: east).status
                        == 201)
            }
            pageCount += 1
        } while cursor != nil
        var expected = ids
        expected.remove(at: 9)
        #expect(listedIDs == expected)
        #expect(pageCount == 3)
        #expect(try post("/\(ids[9])/end", #"{"user_id":"ann"}"#, at: east).status == 410)
        #expect(try get("/\(ids[9])", at: east).object("conversation")?.bool("is_active") == false)

        // Without the store, the response is a prompt error.
        try redis.stop()
        #expect(try HTTPReply.get(Self.root, port: east, fields: [:]).status == 503)
    }
}
