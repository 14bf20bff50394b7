import RedisClient
import Testing

@Suite("The URL of Redis")
struct RedisURLTests {
    private static func endpoints(_ endpoints: (String, UInt16)...) -> [RedisEndpoint] {
        endpoints.map { RedisEndpoint(host: $0.0, port: $0.1) }
    }

    @Test("names one server and the credentials")
    func standalone() throws {
        let plain = try RedisURL("redis://redis.example")
        #expect(plain.kind == .standalone && !plain.isSecure && plain.database == 0)
        #expect(plain.endpoints == Self.endpoints(("redis.example", 6379)))
        #expect(
            plain.user == nil && plain.password == nil && plain.waitReplicas == nil
                && plain.waitMilliseconds == nil)

        let whole = try RedisURL(
            "REDISS://us%3Aer:p%40ss%2F%25@[2001:db8::1]:7000/12?wait=2&wait-ms=100")
        #expect(
            whole.isSecure && whole.endpoints == Self.endpoints(("2001:db8::1", 7000))
                && whole.database == 12)
        #expect(whole.user == "us:er" && whole.password == RedisSecret("p@ss/%"))
        #expect(whole.waitReplicas == 2 && whole.waitMilliseconds == 100)
        #expect(whole.description == "rediss://[2001:db8::1]:7000/12")

        let passwordOnly = try RedisURL("redis://:a:b@10.0.0.1/?wait=0")
        #expect(
            passwordOnly.user == nil && passwordOnly.password == RedisSecret("a:b")
                && passwordOnly.waitReplicas == 0)
        #expect(passwordOnly.description == "redis://10.0.0.1:6379")
    }

    @Test("names sentinels and their master, or the nodes of a cluster")
    func severalServers() throws {
        let sentinel = try RedisURL("redis+sentinel://u:p@a,b:1,[::1]:2/my%20master/3")
        #expect(
            sentinel.kind == .sentinel(master: "my master") && sentinel.database == 3
                && sentinel.user == "u")
        #expect(sentinel.endpoints == Self.endpoints(("a", 26_379), ("b", 1), ("::1", 2)))
        #expect(sentinel.description == "redis+sentinel://a:26379,b:1,[::1]:2/my%20master/3")
        #expect(try RedisURL("redis+sentinel://a/m/").database == 0)

        let cluster = try RedisURL("rediss+cluster://:p@a,b:7001/?wait=1")
        #expect(cluster.kind == .cluster && cluster.isSecure && cluster.waitReplicas == 1)
        #expect(cluster.endpoints == Self.endpoints(("a", 6379), ("b", 7001)))
        #expect(cluster.description == "rediss+cluster://a:6379,b:7001")
        #expect(try RedisURL("redis+cluster://a/0") == RedisURL("redis+cluster://a"))
    }

    @Test(
        "is rejected with a reason",
        arguments: [
            ("", "must begin"), ("redis", "must begin"), ("http://a", "must begin"),
            ("redis+x://a", "must begin"),
            ("redis:a", "must begin"),
            ("redis://", "host is missing"), ("redis://:6379", "host is missing"),
            ("redis://a,b", "several"),
            ("redis+cluster://a,,b", "host is missing"),
            ("redis://a:0", "port"), ("redis://a:", "port"), ("redis://a:65536", "port"),
            ("redis://a:+1", "port"),
            ("redis://::1", "brackets"), ("redis://[::1", "bracket"), ("redis://[::x]", "IPv6"),
            ("redis://[127.0.0.1]", "IPv6"),
            ("redis://[::1]1", "colon"), ("redis://a_b/x", "database"),
            ("redis://a/-1", "database"), ("redis://a/1/2", "database"),
            ("redis://a//", "number"), ("redis+sentinel://a", "master"),
            ("redis+sentinel://a/", "master"),
            ("redis+sentinel://a/m/1/2", "master"),
            ("redis+cluster://a/1", "only database 0"), ("redis://a?wait=x", "wait must"),
            ("redis://a?wait=17", "wait must"),
            ("redis://a?wait=1&wait=2", "wait must"),
            ("redis://a?wait-ms=0", "wait-ms must"), ("redis://a?wait=", "wait must"),
            ("redis://a?x=1", "parameter"),
            ("redis://ä", "percent-encoded"),
            ("redis://a b", "percent-encoded"), ("redis://a!b", "host name"),
        ])
    func invalid(_ text: String, _ reason: String) {
        let error = #expect(throws: RedisURLError.self) { try RedisURL(text) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "nothing")")
    }

    @Test(
        "never shows a password in any error",
        arguments: [
            "redis://u:hunter2@a:x", "redis://u:hun@ter2@a", "redis://u:hunter2/@a",
            "redis://u:?hunter2@a", "redis://u:hunter2#@a",
            "redis://u:hunter2%zz@a", "redis://hunter2@a", "redis://u:hunter2 @a",
            "redis://:hunter2", "redis://u:hunter2:a",
            "redis://hunter2!",
            "redis://u:hunter2@a?hunter2=hunter2",
        ])
    func hidesPassword(_ text: String) throws {
        let error = #expect(throws: RedisURLError.self) { try RedisURL(text) }
        for part in ["hunter2", "ter2", "hun"] {
            #expect(error.map { "\($0)".contains(part) } == false)
        }
        let url = try RedisURL("redis://user:hunter2@a/1")
        var dumped = ""
        dump(try RedisSettings(url), to: &dumped)
        #expect(!"\(url) \(String(reflecting: url)) \(dumped)".contains("hunter2"))
    }
}
