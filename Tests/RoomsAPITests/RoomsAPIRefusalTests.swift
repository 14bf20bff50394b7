import Bytes
import ChatModel
import DialectKit
import HTTPWire
import Identity
import TestKit
import Testing

@testable import RoomsAPI

@Suite("The REST API")
struct RoomsAPIRefusalTests {
    private static let root = "/api/conversations"

    @Test("refuses every request of a banned user with the reason")
    func bans() async throws {
        let ban = Ban(
            Ban.Subject(tenant: "default", user: "ann"), until: nil, reason: "Spam.", by: "ops",
            since: Timestamp(milliseconds: 1))
        let node = ScriptedNode(ban: ban) { _, _, _ in .failed(.banned(ban.notice)) }
        let ann = try await node.response(
            .get, Self.root, "", .bearer(Identity(user: "ann", grants: .all)))
        #expect(ann.status == 403)
        #expect(ann.error == "You are banned. Spam.")
        #expect(node.requests == [])
        // An anonymous user is known only with the command.
        let send = try await node.response(
            .post, Self.root + "/x/messages", #"{"user_id":"eve","username":"Eve","content":"a"}"#)
        #expect(send.status == 403)
        #expect(send.error == "You are banned. Spam.")
    }

    @Test(
        "rejects invalid bodies and names the field",
        arguments: [
            ("create", #"{}"#, "title: is missing"),
            ("create", #"{"title":null}"#, "title: is missing"),
            ("create", #"{"title":7}"#, "title: must be a string"),
            ("create", #"{"title":""}"#, "title: must be 1 to 200 characters"),
            ("create", #"{"title":" \u3000"}"#, "title: must be 1 to 200 characters"),
            ("create", #"{"title":"a\nb"}"#, "title: must be 1 to 200 characters"),
            ("create", #"{"title":"\u3164"}"#, "title: must be 1 to 200 characters"),
            ("create", #"{"title":"a\u202eb"}"#, "title: must be 1 to 200 characters"),
            (
                "create", #"{"title":"t","user_id":"\u200b"}"#,
                "user_id: must be 1 to 128 characters"
            ),
            ("create", #"{"title":"a\u0085b"}"#, "title: must be 1 to 200 characters"),
            (
                "create", #"{"title":"\#(String(repeating: "é", count: 201))"}"#,
                "title: must be 1 to 200 characters"
            ),
            ("create", #"{"title":"t","description":[]}"#, "description: must be a string"),
            (
                "create", #"{"title":"t","description":"\u0000"}"#,
                "description: must be at most 2000 characters"
            ),
            (
                "create", #"{"title":"t","description":"\#(String(repeating: "x", count: 2001))"}"#,
                "description: must be at most 2000"
            ),
            ("create", #"{"title":"t","user_id":""}"#, "user_id: must be 1 to 128 characters"),
            (
                "create", #"{"title":"t","user_id":"a\u0001"}"#,
                "user_id: must be 1 to 128 characters"
            ),
            ("create", #"{"title":"t","user_id":5}"#, "user_id: must be a string"),
            ("create", #"["title"]"#, "body: must be a JSON object"),
            ("create", "", "body: The JSON is malformed at byte 0"),
            ("create", #"{"title":"t"} x"#, "body: The JSON is malformed at byte 14"),
            ("create", #"{"title":"\ud800"}"#, "body: The JSON is malformed"),
            (
                "create", String(repeating: "[", count: 40),
                "body: The JSON is malformed at byte 32: values are nested"
            ),
            ("x/join", #"{}"#, "user_id: is missing"),
            ("x/join", #"{"user_id":"ann"}"#, "username: is missing"),
            ("x/join", #"{"username":"Ann"}"#, "user_id: is missing"),
            (
                "x/join", #"{"user_id":"ann","username":""}"#,
                "username: must be 1 to 128 characters"
            ),
            ("x/join", #"{"user_id":"ann","username":false}"#, "username: must be a string"),
            ("x/end", #"{}"#, "user_id: is missing"),
        ])
    func bodies(path: String, body: String, sentence: String) async throws {
        let node = ScriptedNode()
        let outcome = try await node.response(.post, "\(Self.root)/\(path)", body)
        #expect(outcome.status == 400)
        #expect(outcome.error?.hasPrefix(sentence) == true, "\(outcome.body)")
        #expect(outcome.body.bool("success") == false)
        #expect(outcome.fields["Cache-Control"] == "no-store")
        #expect(node.requests.isEmpty)
    }

    @Test("accepts values at their limits")
    func bounds() async throws {
        let api = ScriptedNode { _, _, _ in .described(.room()) }
        let title = String(repeating: "é", count: 200)
        let description = "a\\tb\\r\\n" + String(repeating: "x", count: 1995)
        let body =
            #"""
            {"title":"\#(title)","description":"\#(description)",\#
            "user_id":"\#(String(repeating: "y", count: 128))","more":{}}
            """#
        #expect(try await api.response(.post, "\(Self.root)/create", body).status == 201)
    }

    @Test(
        "rejects bodies that are not declared as JSON in UTF-8",
        arguments: [
            (nil, 415), ("", 415), ("text/plain", 415), ("application/jsonx", 415),
            ("application/problem+json", 415),
            ("application/x-www-form-urlencoded", 415), ("application/json; charset=latin1", 415),
            ("text/plain; application/json", 415),
            ("application/json", 201), ("Application/JSON", 201),
            ("application/json;charset=UTF-8", 201),
            ("application/json; charset=\"utf-8\"", 201), ("application/json ; x=y", 201),
        ] as [(String?, Int)])
    func contentTypes(type: String?, status: Int) async throws {
        let api = ScriptedNode { _, _, _ in .described(.room()) }
        let outcome = try await api.response(
            .post, "\(Self.root)/create", #"{"title":"Tea"}"#, contentType: type)
        #expect(outcome.status == status)
        if status == 415 { #expect(outcome.error == "Content-Type: must be application/json") }
    }

    @Test(
        "rejects unsupported methods and names the supported ones",
        arguments: [
            (.post, "", "GET, HEAD"), (.put, "/x", "GET, HEAD, PATCH"),
            (.delete, "/x", "GET, HEAD, PATCH"), (.post, "/x", "GET, HEAD, PATCH"),
            (.get, "/create", "POST"), (.head, "/create", "POST"), (.options, "/create", "POST"),
            (.get, "/x/join", "POST"),
            (.patch, "/x/end", "POST"), (.other, "", "GET, HEAD"),
            (.delete, "/x/messages", "GET, HEAD, POST"), (.get, "/x/messages/1", "PATCH, DELETE"),
            (.put, "/x/messages/1", "PATCH, DELETE"), (.put, "/x/members", "GET, HEAD, POST"),
            (.patch, "/x/members/bob", "DELETE"),
        ] as [(HTTPMethod, String, String)])
    func methods(method: HTTPMethod, path: String, allowed: String) async throws {
        // The method is checked before the credentials.
        let outcome = try await ScriptedNode().response(method, Self.root + path, anonymous: false)
        #expect(outcome.status == 405)
        #expect(outcome.fields["Allow"] == allowed)
        #expect(outcome.body.bool("success") == false)
    }

    @Test("rejects a missing token where one is required, and an invalid one anywhere")
    func missingTokens() async throws {
        let api = ScriptedNode()
        for (method, path) in [
            (.get, ""), (.post, "/create"), (.get, "/x"), (.post, "/x/join"), (.post, "/x/end"),
            (.get, "/x/messages"), (.post, "/x/messages"), (.patch, "/x/messages/1"),
            (.delete, "/x/messages/1"), (.post, "/x/members"), (.delete, "/x/members/bob"),
        ]
            as [(HTTPMethod, String)]
        {
            let nobody = try await api.response(method, Self.root + path, "{}", anonymous: false)
            #expect(nobody.status == 401)
            #expect(nobody.error == "token: a token is required")
            #expect(nobody.fields["WWW-Authenticate"] == "Bearer")
            let forger = try await api.response(
                method, Self.root + path, "{}", .invalid("The token's signature is wrong."))
            #expect(forger.status == 401)
            #expect(forger.error == "token: The token's signature is wrong.")
        }
    }

    @Test("rejects a user_id other than the token's", arguments: ["create", "x/join", "x/end"])
    func otherUsers(path: String) async throws {
        let node = ScriptedNode()
        let body = #"{"title":"t","user_id":"bob","username":"Bob"}"#
        let outcome = try await node.response(.post, "\(Self.root)/\(path)", body, .token("ann"))
        #expect(outcome.status == 403)
        #expect(outcome.error == "user_id: must be the token's own, or left out")
        #expect(node.requests.isEmpty)
    }

    @Test(
        "rejects invalid page queries",
        arguments: [
            ("limit=0", "limit"), ("limit=101", "limit"), ("limit=-1", "limit"),
            ("limit=+5", "limit"), ("limit=05", "limit"),
            ("limit=x", "limit"), ("limit=", "limit"), ("limit=1.5", "limit"), ("limit", "limit"),
            ("cursor=", "cursor"),
            ("cursor=abc", "cursor"), ("limit=5&cursor=!", "cursor"),
        ])
    func queries(query: String, field: String) async throws {
        let outcome = try await ScriptedNode().response(.get, Self.root, query: query)
        #expect(outcome.status == 400)
        #expect(outcome.error?.hasPrefix("\(field): ") == true)
    }

    @Test("answers 503 if the node does not answer in time, or at all")
    func unanswered() async throws {
        let requests: [(HTTPMethod, String)] = [
            (.get, ""), (.post, "/create"), (.get, "/x"), (.post, "/x/join"), (.post, "/x/end"),
        ]
        let failing = ScriptedNode { _, _, _ in
            .failed(.unavailable)
        } read: { _ in
            .failed(StoreFailure("on fire"))
        }
        for api in [ScriptedNode(), failing, ScriptedNode(isOpen: false)] {
            for (method, path) in requests {
                let outcome = try await api.response(
                    method, Self.root + path, #"{"title":"t","user_id":"a","username":"A"}"#)
                #expect(outcome.status == 503)
                #expect(outcome.fields["Retry-After"] == "1")
            }
        }
    }

    @Test("ignores paths that belong to others")
    func otherPaths() async throws {
        await #expect(throws: HTTPError.notFound) {
            try await ScriptedNode().response(.get, "/api/conversation")
        }
    }
}
