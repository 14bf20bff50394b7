import Bytes
import ChatModel
import ClusterWire
import Configuration
import EventLoop
import Gateway
import HTTPWire
import JSON
import Stores
import Telemetry
import Testing

@testable import AdminAPI

@Suite("A request under /api/cluster/")
struct ClusterAdminTests {
    private let admin = ClusterAdmin(
        record: NodeRecord(
            incarnation: 1, name: "n1", address: "here:1", host: "h", version: "1",
            loops: 1, startedAt: Timestamp(milliseconds: 0)),
        clusterName: "confab", store: .memory, waitReplicas: nil,
        drain: .seconds(30),
        logger: Logger(
            level: .error, format: .text, writer: LogWriter()))

    /// The status with which a request is rejected; nil if the cluster is queried.
    private func rejection(
        _ method: HTTPMethod, _ target: String, contentType: String? = nil, body: String = "",
        by caller: AdminCaller = AdminCaller(name: "admin", role: .operate)
    ) -> Int? {
        let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
        let request = HTTPRequest(
            method: method, path: AdminRouter.prefix + (parts.first ?? ""),
            query: parts.count > 1 ? parts[1] : nil, contentType: contentType,
            peer: SocketAddress(literal: "127.0.0.1", port: 1)!)
        do throws(HTTPError) {
            _ = try AdminRouter.work(
                for: request, body: Array(body.utf8), by: caller, self.admin)
            return nil
        } catch {
            return error.status.rawValue
        }
    }

    @Test(
        "reads with GET only, and rejects an invalid query before any node is asked",
        arguments: [
            ("status", nil), ("nodes", nil), ("redis", nil), ("shards", nil),
            ("shards?node=n9", nil),
            ("nothing", 404), ("", 404), ("status/", 404), ("Status", 404),
            ("events", nil), ("events?last=1", nil), ("events?last=0", 400), ("events?last=x", 400),
            ("events?last=1000000000", 400), ("events?last=%FF", 400),
            ("owner?conversation=lobby", nil), ("owner?conversation=lobby&tenant=t", nil),
            ("owner", 400), ("owner?conversation=", 400), ("owner?conversation=a%0Ab", 400),
            ("owner?conversation=lobby&tenant=", 400), ("verify?conversation=lobby", nil),
            ("verify", 400), ("history?conversation=lobby&last=10&after=0", nil),
            ("history?conversation=lobby&after=-1", 400),
            ("history?conversation=lobby&last=0", 400),
            ("trace?message=1&conversation=lobby", nil), ("trace?user=alice&for=5", nil),
            ("trace?message=0&conversation=lobby", 400), ("trace?user=alice&for=0", 400),
        ] as [(String, Int?)])
    func reading(target: String, status: Int?) {
        #expect(self.rejection(.get, target) == status)
        #expect(self.rejection(.head, target) == status)
        #expect(self.rejection(.post, target) == (status == 404 ? 404 : 405))
    }

    @Test(
        "changes only with POST and a JSON object",
        arguments: [
            ("application/json", #"{"node":"n1"}"#, nil),
            ("Application/JSON; charset=utf-8", #"{"node":"n1","dry_run":true}"#, nil),
            ("application/json", "{}", 400), ("application/json", #"{"node":1}"#, 400),
            ("application/json", #"{"node":"n1","nodes":1}"#, 400),
            ("application/json", #"{"node":"n1","dry_run":1}"#, 400),
            ("text/plain", "{}", 415), (nil, "{}", 415),
            ("application/x-www-form-urlencoded", "{}", 415), ("application/json", "[]", 400),
            ("application/json", "{", 400), ("application/json", "", 400),
        ] as [(String?, String, Int?)])
    func changes(contentType: String?, body: String, status: Int?) {
        for verb in ["drain", "resume"] {
            #expect(self.rejection(.post, verb, contentType: contentType, body: body) == status)
            #expect(self.rejection(.get, verb, contentType: contentType, body: body) == 405)
        }
    }

    @Test("names the wrong parameter")
    func parameters() {
        func error(_ members: [JSONTree.ObjectMember]) -> String? {
            do throws(HTTPError) {
                _ = try AdminRequest(
                    OperatorVerb.named("drain")!, members, isQuery: false, operatorName: "ops")
                return nil
            } catch {
                return error.message
            }
        }
        #expect(error([.init("node", "n1"), .init("rate", 5), .init("deadline", 2)]) == nil)
        #expect(error([]) == "\"node\" is missing.")
        #expect(
            error([.init("node", "n1"), .init("rate", 0)])
                == "\"rate\": 0 is not between 1 and 1000000.")
        #expect(
            error([.init("node", "n1"), .init("deadline", "1h")])
                == "\"deadline\": must be a number.")
        #expect(
            error([.init("nod", "n1")])
                == "\"nod\" is not a parameter of drain: node, rate, deadline, force.")
    }

    @Test("is refused if the role of its token is too low", arguments: OperatorRole.allCases)
    func roles(role: OperatorRole) {
        let caller = AdminCaller(name: "watch", role: role)
        func isRefused(_ target: String) -> Bool { self.rejection(.get, target, by: caller) == 403 }
        for target in ["status", "nodes", "conversation?conversation=a", "events", "doctor"] {
            #expect(isRefused(target) == (role < .view), "\(target)")
        }
        for target in [
            "history?conversation=a", "trace?message=1&conversation=a", "trace?user=a",
            "user?user=a", "support",
        ] {
            #expect(isRefused(target) == (role < .read), "\(target)")
        }
        let drain = self.rejection(
            .post, "drain", contentType: "application/json", body: #"{"node":"n1"}"#, by: caller)
        #expect(drain == (role < .operate ? 403 : nil))
    }

    @Test("may name a user whose name no client can take")
    func strangeNames() {
        #expect(self.rejection(.get, "user?user=%E2%80%AEevil") == nil)
        #expect(self.rejection(.get, "user?user=%02dave") == 400)
    }

    @Test("of a reader of content is one entry of the event log in ten minutes")
    func readings() {
        var readings = ContentReadings()
        func isEntry(_ subject: String, _ seconds: Int64) -> Bool {
            readings.add(
                .init(operatorName: "ann", verb: "history", subject: subject),
                at: MonotonicTime(nanoseconds: seconds * 1_000_000_000))
        }
        let entries = [
            isEntry("lobby", 0), isEntry("lobby", 599), isEntry("desk", 599), isEntry("lobby", 600),
        ]
        #expect(entries == [true, false, true, true])
        // At the bound too many entries are written, never too few.
        for number in 0..<ContentReadings.limit { _ = isEntry("\(number)", 601) }
        let isEntryAgain = isEntry("lobby", 602)
        #expect(isEntryAgain)
    }

    @Test("has a handler for every verb's path, and no other")
    func table() {
        #expect(Set(self.admin.handlers.keys) == Set(AdminRouter.verbsByPath.keys))
    }

    /// The document of a path that needs no node.
    private func document(_ path: String, by caller: AdminCaller) async throws -> JSONTree {
        let request = HTTPRequest(
            method: .get, path: AdminRouter.prefix + path,
            peer: try #require(SocketAddress(literal: "127.0.0.1", port: 1)))
        let work = try AdminRouter.work(for: request, body: [], by: caller, self.admin)
        return try await JSONTree(parsing: work().body.span.bytes)
    }

    @Test("describes the verbs that a page can use, and what the caller may do")
    func verbs() async throws {
        let reader = AdminCaller(name: "watch", role: .read)
        let document = try await self.document("verbs", by: reader)
        #expect(
            document["operator"] == "watch" && document["roles"] == ["metrics", "view", "read"])
        let verbs = try #require(document["verbs"]?.elements)
        let paths = Set(verbs.compactMap { $0["path"]?.stringValue })
        #expect(
            Set(OperatorVerb.all.compactMap(\.path)).subtracting(paths)
                == ["support", "verify/all", "webhooks/change", "webhooks/dead"],
            "a page cannot write a file, and the others are options of verbs")
        let nodes = try #require(verbs.first { $0["name"] == "nodes" })
        #expect(nodes["rows"] == "nodes" && nodes["role"] == "view")
        #expect(
            nodes["columns"]?.elements?.last
                == [
                    "title": "±%", "key": "imbalance", "format": "deviation", "is_summed": false,
                ])
        let send = try #require(verbs.first { $0["name"] == "send" })
        #expect(
            send["parameters"]?.elements?.first { $0["name"] == "user" }?["option"] == "as")
        let operating = AdminCaller(name: "ops", role: .operate)
        let own = try await self.document("verbs", by: operating)
        #expect(own["roles"] == ["metrics", "view", "read", "operate"])
    }

    @Test("answers the page's request with a sentence for each part that fails")
    func overview() async throws {
        let document = try await self.document(
            "overview", by: AdminCaller(name: "watch", role: .view))
        #expect(document["answered_by"] == "n1")
        for part in ["status", "nodes", "shards", "redis"] {
            #expect(document[part]?["error"]?.stringValue?.isEmpty == false, "\(part)")
        }
        // The log of a node without Redis needs no other part of the node.
        #expect(document["events"]?["events"] == [])
        #expect(self.rejection(.post, "overview", contentType: "application/json") == 405)
        #expect(self.rejection(.get, "overview?x=1") == 400)
    }

    @Test("has null for every column without a value")
    func nulls() throws {
        let verb = try #require(OperatorVerb.named("owner"))
        let document = AdminRouter.completed(["shard": 7], verb)
        #expect(document["shard"] == 7 && document["epoch"] == .null)
        #expect(verb.columns.allSatisfy { document[$0.key] != nil })
        let table = try #require(OperatorVerb.named("nodes"))
        let rows = AdminRouter.completed(["nodes": [["node": "n1"]]], table)["nodes"]?.elements
        #expect(rows?.first?["rss"] == .null)
    }

    @Test(
        "names a conversation by 1 to 255 bytes",
        arguments: [(1, true), (255, true), (256, false)])
    func conversationSize(bytes: Int, isValid: Bool) {
        let name = String(repeating: "a", count: bytes)
        #expect((self.rejection(.get, "owner?conversation=\(name)") == nil) == isValid)
        #expect(self.rejection(.get, "owner?conversation=a&tenant=a.b") == nil)
        #expect(self.rejection(.get, "owner?conversation=a&tenant=a%2Fb") == 400)
    }
}
