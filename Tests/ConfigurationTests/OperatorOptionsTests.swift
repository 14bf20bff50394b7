import JSON
import RedisClient
import Testing

@testable import Configuration

@Suite("The command lines of operators")
struct OperatorOptionsTests {
    private func options(_ line: String, environment: [String: String] = [:]) throws(UsageError)
        -> OperatorOptions
    {
        let words = line.split(separator: " ").map(String.init)
        guard case .operate(let options) = try Invocation(words, environment: environment, .program)
        else {
            preconditionFailure(line)
        }
        return options
    }

    private func errorText(_ line: String) -> String? {
        do throws(UsageError) {
            _ = try self.options(line)
            return nil
        } catch {
            return error.description
        }
    }

    @Test("have options before and after their arguments")
    func positions() throws {
        let send = try self.options("send --as ops lobby --tenant t1 hello --yes")
        #expect(
            send.verb.name == "send" && send.text("conversation") == "lobby"
                && send.text("content") == "hello" && send.text("user") == "ops")
        #expect(send.text("tenant") == "t1" && send.isConfirmed && !send.isDryRun)
        let drain = try self.options("drain n1 --rate 100/s --deadline 2.5 --dry-run --output json")
        #expect(
            drain.text("node") == "n1" && drain["rate"] == 100
                && drain["deadline"] == .number("2.5"))
        #expect(try self.options("drain n1 --deadline 2m")["deadline"] == 120)
        #expect(drain.isDryRun && drain.output == .json)
        let events = try self.options("events --follow --last 5")
        #expect(events.verb.name == "events" && events.follows && events["last"] == 5)
        #expect(try self.options("nodes --sort -connections --limit 3").sort == "-connections")
    }

    @Test("collect the users of a repeated option")
    func users() throws {
        let create = try self.options("create --member ann --closed --member bob --yes")
        #expect(create["members"] == ["ann", "bob"] && create["closed"] == true)
        let all = "create" + String(repeating: " --member x", count: 100)
        #expect(try self.options(all)["members"]?.elements?.count == 100)
        #expect(self.errorText(all + " --member x")?.contains("must be at most 100") == true)
    }

    @Test("may leave out an argument that is optional, also before one that is required")
    func optionalArgument() throws {
        let all = try self.options("log-level debug --for 10m --yes")
        #expect(all["node"] == nil && all.text("level") == "debug" && all["for"] == 600)
        let one = try self.options("log-level n1 --yes warning")
        #expect(one.text("node") == "n1" && one.text("level") == "warning" && one["for"] == nil)
        #expect(self.errorText("log-level")?.contains("LEVEL") == true)
        #expect(self.errorText("log-level n1")?.contains("LEVEL: ") == true)
        #expect(self.errorText("log-level debug n1")?.contains("LEVEL: ") == true)
        #expect(self.errorText("log-level n1 debug info")?.contains("info") == true)
    }

    @Test("accept an interval after --watch")
    func watch() throws {
        #expect(try self.options("nodes").watch == nil)
        #expect(try self.options("nodes --watch").watch == .seconds(2))
        #expect(try self.options("nodes --watch 0.5 --limit 1").watch == .milliseconds(500))
        #expect(try self.options("nodes --watch=10").watch == .seconds(10))
        let owner = try self.options("owner --watch lobby")
        #expect(owner.watch == .seconds(2) && owner.text("conversation") == "lobby")
        #expect(try self.options("owner --watch 3 lobby").watch == .seconds(3))
    }

    @Test("read from Redis with --via")
    func via() throws {
        let options = try self.options(
            """
            shards --via redis://ops:secret@h:1/2 --cluster-name c2 --redis-ca-file ca.pem --node n1
            """
        )
        #expect(
            options.via?.endpoints.first?.host == "h" && options.clusterName == "c2"
                && options.redisCAFile == "ca.pem")
        let environment = [
            "CONFAB_VIA_URL": "redis+cluster://h:1,i:2", "CONFAB_CLUSTER_NAME": "c3",
        ]
        let kept = try self.options("redis", environment: environment)
        #expect(kept.via?.endpoints.count == 2 && kept.clusterName == "c3")
        #expect(try self.options("status", environment: environment).via == nil)
    }

    @Test("read the node's address from the environment, unless the command line has one")
    func environment() throws {
        let environment = ["CONFAB_ADMIN_URL": "http://10.0.0.1:1", "CONFAB_ADMIN_TOKEN_FILE": "t"]
        #expect(try self.options("nodes").urls == ["http://127.0.0.1:8090"])
        #expect(try self.options("nodes", environment: environment).urls == ["http://10.0.0.1:1"])
        #expect(try self.options("nodes", environment: environment).tokenFile == "t")
        #expect(
            try self.options("nodes --admin http://[::1]:2,http://b:3", environment: environment)
                .urls == ["http://[::1]:2", "http://b:3"])
    }

    @Test("choose columns of a table")
    func columns() throws {
        #expect(try self.options("nodes --columns NODE,rss").columns == ["NODE", "rss"])
        #expect(try self.options("nodes --wide --no-header").isWide)
        #expect(try !self.options("nodes --no-header").hasHeader)
    }

    @Test(
        "are rejected with a sentence when they are wrong",
        arguments: [
            ("owner", "confab: owner: CONVERSATION is missing; see confab owner --help"),
            ("send lobby hi", "confab: send: --as USER is missing; see confab send --help"),
            ("drain", "confab: drain: NODE is missing; see confab drain --help"),
            ("nodes n1", "confab: nodes: \"n1\" is one argument too many; see confab nodes --help"),
            ("nodes --tenant t", "confab: --tenant: no such option; see confab nodes --help"),
            ("history lobby --last 0", "confab: --last: 0 is not between 1 and 1000"),
            (
                "history lobby --last 1 --after 1",
                "confab: history: give either --last or --after, not both"
            ),
            (
                "status --admin ftp://x",
                "confab: --admin: \"ftp://x\" is not a URL such as http://127.0.0.1:8090"
            ),
            ("nodes --watch 0", "confab: --watch: 0 seconds is not between 0.1 and 86400"),
            (
                "nodes --wide --columns NODE",
                "confab: nodes: give either --columns or --wide, not both"
            ),
            (
                "drain n1 --deadline 2d",
                "confab: --deadline: 2d is not between 0 and 86400 seconds"
            ),
            (
                "owner lobby --tenant a/b",
                "confab: --tenant: \"a/b\" is not 1 to 64 of the characters A-Z a-z 0-9 . _ -"
            ),
            ("verify lobby --watch", "confab: --watch: no such option; see confab verify --help"),
            (
                "nodes --via http://x",
                """
                confab: --via: it must begin with redis://, redis+sentinel:// or \
                redis+cluster://, or the same with rediss for TLS
                """
            ),
            ("status --via redis://h", "confab: --via: no such option; see confab status --help"),
            (
                "nodes --cluster-name A",
                "confab: --cluster-name: \"A\" is not 1 to 32 of the characters a-z 0-9 -"
            ),
            ("status --output xml", "confab: --output: \"xml\" is not one of table, json, csv"),
        ])
    func mistakes(line: String, sentence: String) {
        #expect(self.errorText(line) == sentence)
    }
}
