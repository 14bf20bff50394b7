import Bytes
import ChatModel
import Foundation
import Stores
import Telemetry
import Testing

@testable import Configuration

@Suite("confab serve")
struct ServeOptionsTests {
    /// Every option once: on the command line, in the environment and in a file, with its effect.
    struct Sample: Sendable, CustomTestStringConvertible {
        let option: String
        let words: [String]
        let json: String
        let isDone: @Sendable (ServeOptions) -> Bool
        /// Other options that it requires.
        var others = ""

        var testDescription: String { self.option }
    }

    static let samples: [Sample] = [
        Sample(option: "listen", words: ["[::1]:0"], json: #""[::1]:0""#) {
            $0.listen == ListenAddress(host: "::1", port: 0)
        },
        Sample(option: "admin", words: ["off"], json: #""off""#) { $0.admin == nil },
        Sample(option: "admin-token-file", words: ["a.token"], json: #""a.token""#) {
            $0.adminTokenFile == "a.token"
        },
        Sample(option: "admin-token", words: ["off"], json: "false") { !$0.requiresAdminToken },
        Sample(
            option: "tls-cert", words: ["c.pem"], json: #""c.pem""#,
            isDone: { $0.tlsCertificateFile == "c.pem" }, others: "--tls-key k"),
        Sample(
            option: "tls-key", words: ["k.pem"], json: #""k.pem""#,
            isDone: { $0.tlsKeyFile == "k.pem" }, others: "--tls-cert c"),
        Sample(
            option: "origins", words: ["own", "https://Chat.Example:443"],
            json: #"["own", "https://chat.example"]"#
        ) {
            $0.origins == AllowedOrigins(own: true, others: ["https://chat.example"])
        },
        Sample(
            option: "cors-headers", words: ["TraceParent", "x-tea"],
            json: #"["traceparent", "X-Tea"]"#
        ) {
            $0.corsHeaders == ["traceparent", "x-tea"]
        },
        Sample(
            option: "public-url", words: ["HTTPS://Chat.Example:443/"],
            json: #""https://chat.example""#
        ) {
            $0.publicURL?.description == "https://chat.example"
                && $0.publicURL?.origin == "https://chat.example"
        },
        Sample(
            option: "host", words: ["Chat.Example.", "node-1"],
            json: #"["chat.example", "node-1"]"#
        ) { $0.hosts == ["chat.example", "node-1"] },
        Sample(
            option: "trusted-proxies", words: ["10.0.0.0/8", "::1"], json: #"["10.0.0.0/8", "::1"]"#
        ) {
            $0.trustedProxies.map(\.description) == ["10.0.0.0/8", "::1/128"]
        },
        Sample(option: "store", words: ["memory:"], json: #""memory:""#) {
            $0.store.kind == .memory
        },
        Sample(option: "history", words: ["77"], json: "77") { $0.limits.historyLimit == 77 },
        Sample(option: "cluster-name", words: ["chat-2"], json: #""chat-2""#) {
            $0.clusterName == "chat-2"
        },
        Sample(option: "cluster-key-file", words: ["k"], json: #""k""#) {
            $0.clusterKeyFile == "k"
        },
        Sample(option: "redis-ca-file", words: ["ca.pem"], json: #""ca.pem""#) {
            $0.redisCAFile == "ca.pem"
        },
        Sample(option: "jwt-secret-file", words: ["s"], json: #""s""#) { $0.jwtSecretFile == "s" },
        Sample(
            option: "jwt-public-key-file", words: ["a.pem", "b.pem"], json: #"["a.pem", "b.pem"]"#
        ) {
            $0.jwtPublicKeyFiles == ["a.pem", "b.pem"]
        },
        Sample(option: "jwks-file", words: ["j"], json: #""j""#) { $0.jwksFile == "j" },
        Sample(option: "jwt-audience", words: ["aud"], json: #""aud""#) { $0.jwtAudience == "aud" },
        Sample(option: "jwt-issuer", words: ["iss"], json: #""iss""#) { $0.jwtIssuer == "iss" },
        Sample(option: "jwt-leeway", words: ["2.5"], json: "2.5") {
            $0.jwtLeeway == .milliseconds(2500)
        },
        Sample(option: "anonymous", words: ["off"], json: "false") { !$0.anonymous },
        Sample(option: "default-access", words: ["closed"], json: #""closed""#) {
            $0.defaultAccess == .closed
        },
        Sample(
            option: "webhook", words: ["https://a.example/x?t=1"],
            json: #"["https://a.example/x?t=1"]"#
        ) {
            $0.webhooks.map(\.target) == ["/x?t=1"]
                && $0.settings.first { $0.name == "webhook" }?.value == "https://a.example"
        },
        Sample(
            option: "webhook-events", words: ["member.joined", "member.left"],
            json: #"["member.joined", "member.left"]"#
        ) { $0.webhookEvents == [.memberJoined, .memberLeft] },
        Sample(option: "webhook-secret-file", words: ["w"], json: #""w""#) {
            $0.webhookSecretFile == "w"
        },
        Sample(option: "webhook-allow", words: ["10.0.0.0/8"], json: #"["10.0.0.0/8"]"#) {
            $0.webhookAllow.count == 1
        },
        Sample(option: "node-id", words: ["a-1"], json: #""a-1""#) { $0.nodeID == "a-1" },
        Sample(option: "loops", words: ["3"], json: "3") { $0.loops == 3 },
        Sample(option: "io-uring", words: ["off"], json: "false") { !$0.ioUring },
        Sample(option: "drain-seconds", words: ["0.25"], json: "0.25") {
            $0.drain == .milliseconds(250)
        },
        Sample(
            option: "limit", words: ["json-depth=9", "idle-seconds=90"],
            json: #"{"json-depth": 9, "idle-seconds": 90}"#
        ) {
            $0.limits.jsonDepth == 9 && $0.limits.idle == .seconds(90)
        },
        Sample(option: "echo-path", words: ["/echo"], json: #""/echo""#) { $0.echoPath == "/echo" },
        Sample(option: "log-level", words: ["debug"], json: #""debug""#) { $0.logLevel == .debug },
        Sample(option: "log-format", words: ["json"], json: #""json""#) { $0.logFormat == .json },
    ]

    @Test("listens on loopback and stores messages in a file by default")
    func defaults() throws {
        let options = try serve()
        #expect(options.listen.description == "127.0.0.1:8080")
        #expect(options.admin?.description == "127.0.0.1:8090")
        #expect(options.store == ServeOptions.standard.store)
        #expect(options.limits == Limits())
        #expect(options.values == .standard)
        #expect(options.settings.allSatisfy { $0.source == .standard })
    }

    @Test(
        "allows anonymous users by default only on loopback with a local store",
        arguments: [
            ("", true), ("--store memory:", true), ("--listen 127.7.0.1:80", true),
            ("--listen [::1]:80", true),
            ("--listen localhost:80", true), ("--listen 0.0.0.0:80", false),
            ("--listen [::]:80", false), ("--listen 10.0.0.1:80", false),
            ("--listen chat.example:80", false), ("--listen 0.0.0.0:80 --anonymous on", true),
            ("--anonymous off", false),
            ("--store redis://localhost:6379 --jwt-secret-file s", false),
            ("--store redis://localhost:6379 --jwt-secret-file s --anonymous on", true),
        ])
    func anonymousDefault(_ line: String, _ areLetIn: Bool) throws {
        let options = try serve(line)
        #expect(options.anonymous == areLetIn)
        #expect(options.setting("anonymous")?.value == (areLetIn ? "on" : "off"))
        #expect(
            options.setting("anonymous")?.source
                == (line.contains("--anonymous") ? .commandLine : .standard))
    }

    @Test("has a sample for every option in this test")
    func samplesAreComplete() {
        #expect(
            ServeOptionsTests.samples.map(\.option) == ServeTable.bindings(.none).map(\.spec.name))
    }

    @Test("accepts every option on the command line", arguments: samples)
    func commandLine(sample: Sample) throws {
        let isRepeated = ["limit", "jwt-public-key-file"].contains(sample.option)
        let values = isRepeated ? sample.words : [sample.words.joined(separator: ",")]
        for separator in [" ", "="] {
            let options = try serve(
                values.map { "--\(sample.option)\(separator)\($0)" }.joined(separator: " ") + " "
                    + sample.others)
            #expect(sample.isDone(options))
            if sample.option != "limit" {
                #expect(options.setting(sample.option)?.source == .commandLine)
            }
        }
        #expect(!sample.isDone(.standard), "the sample must differ from the default")
    }

    @Test("accepts every option from the environment", arguments: samples)
    func environment(sample: Sample) throws {
        let variable =
            sample.option == "admin"
            ? "CONFAB_ADMIN_LISTEN"
            : "CONFAB_" + sample.option.uppercased().replacing("-", with: "_")
        let options = try serve(
            sample.others, environment: [variable: sample.words.joined(separator: ",")])
        #expect(sample.isDone(options))
        if sample.option != "limit" {
            #expect(options.setting(sample.option)?.source == .environment(variable))
        }
        #expect(try serve(environment: [variable: ""]) == serve(), "an empty variable is none")
    }

    @Test("accepts every option from a file", arguments: samples)
    func file(sample: Sample) throws {
        let files = ["c.json": "{\"\(sample.option)\": \(sample.json)}"]
        for options in [
            try serve("--config c.json " + sample.others, files: files),
            try serve(sample.others, environment: ["CONFAB_CONFIG": "c.json"], files: files),
        ] {
            #expect(sample.isDone(options))
            #expect(options.configurationFile == "c.json")
            if sample.option != "limit" {
                #expect(options.setting(sample.option)?.source == .file("c.json"))
            }
        }
    }

    @Test("prefers the command line to the environment, and the environment to the file")
    func precedence() throws {
        let files = [
            "c.json": #"{"loops": 1, "history": 1, "origins": ["http://file"], "node-id": "file"}"#
        ]
        let environment = [
            "CONFAB_LOOPS": "2", "CONFAB_HISTORY": "2", "CONFAB_ORIGINS": "http://environment",
        ]
        let options = try serve("--config c.json --loops 3", environment: environment, files: files)
        #expect(options.loops == 3)
        #expect(options.limits.historyLimit == 2)
        #expect(options.origins == AllowedOrigins(own: true, others: ["http://environment"]))
        #expect(options.nodeID == "file")
        #expect(
            options.setting("loops")
                == EffectiveSetting(name: "loops", value: "3", source: .commandLine))
        #expect(
            options.setting("history")
                == EffectiveSetting(
                    name: "history", value: "2", source: .environment("CONFAB_HISTORY")))
        #expect(
            options.setting("node-id")
                == EffectiveSetting(name: "node-id", value: "file", source: .file("c.json")))
        #expect(
            options.setting("log-level")
                == EffectiveSetting(name: "log-level", value: "info", source: .standard))
    }

    @Test("uses each limit from the strongest source that sets it")
    func limitPrecedence() throws {
        let options = try serve(
            "--config c.json --limit json-depth=7",
            environment: ["CONFAB_LIMIT": "json-depth=6,connections=6,message-burst=6"],
            files: [
                "c.json":
                    #"{"limit": {"json-depth": 5, "connections": 5, "messages-per-second": 5}}"#
            ])
        #expect(options.limits.jsonDepth == 7)
        #expect(options.limits.connections == 6)
        #expect(options.limits.messageBurst == 6)
        #expect(options.limits.messagesPerSecond == 5)
        #expect(options.setting("limit json-depth")?.source == .commandLine)
        #expect(options.setting("limit connections")?.source == .environment("CONFAB_LIMIT"))
        #expect(options.setting("limit messages-per-second")?.source == .file("c.json"))
        #expect(options.setting("limit idle-seconds")?.source == .standard)
    }

    @Test("adapts default limits to explicit ones")
    func limitsAdjust() throws {
        #expect(try serve("--limit idle-seconds=20").limits.ping == .seconds(10))
        #expect(try serve("--limit idle-seconds=20").setting("limit ping-seconds")?.value == "10")
        #expect(try serve("--limit message-bytes=1000").limits.contentBytes == 1000)
        #expect(try serve("--limit connections=200").limits.connectionsPerAddress == 100)
        #expect(try serve("--limit connections=19").limits.connectionsPerAddress == 19)
        #expect(
            try serve("--limit ping-seconds=30 --limit idle-seconds=60").limits.ping == .seconds(30)
        )
    }

    @Test(
        "accepts each limit at both ends of its range, and nothing beyond",
        arguments: LimitTable.all.map(\.name))
    func limitRanges(name: String) throws {
        let limit = try #require(LimitTable.named(name))
        let ends = limit.rangeText.components(separatedBy: " to ")
        for end in ends {
            var limits = Limits()
            try LimitTable.apply("\(name)=\(end)", to: &limits)
            #expect(limit.text(in: limits) == end)
        }
        let beyond = ["-1", "0", ends[1] + "0", "", "x", "1e3", "0x10", "99999999999999999999"]
            .filter { !ends.contains($0) }
        for text in beyond {
            var limits = Limits()
            #expect(throws: ValueProblem.self, "\(text)") {
                try LimitTable.apply("\(name)=\(text)", to: &limits)
            }
        }
        // The default is a valid value, and setting it changes nothing.
        var limits = Limits()
        try LimitTable.apply("\(name)=\(limit.defaultText)", to: &limits)
        #expect(limits == Limits())
    }

    @Test("follows a reload, unless it needs a restart", arguments: LimitTable.all.map(\.name))
    func reloadedLimits(name: String) throws {
        let limit = try #require(LimitTable.named(name))
        var (started, settings) = (Limits(), Limits())
        started.historyLimit = 5
        try LimitTable.apply(
            "\(name)=\(limit.rangeText.components(separatedBy: " to ")[0])", to: &settings)
        let reloaded = LimitTable.reloaded(started, with: settings)
        #expect(limit.text(in: reloaded) == limit.text(in: limit.needsRestart ? started : settings))
        #expect(reloaded.historyLimit == 5)
    }

    @Test("states its real defaults in the help")
    func defaultTexts() throws {
        for binding in ServeTable.bindings(StoreList.all.choices) {
            guard let text = binding.spec.defaultText, !text.contains(" ") else { continue }
            #expect(
                try serve("--\(binding.spec.name) \(text)").values == .standard,
                "--\(binding.spec.name)")
        }
    }

    @Test("lists the files that it needs")
    func files() throws {
        let options = try serve(
            """
            --tls-cert c --tls-key k --jwt-public-key-file a --jwt-public-key-file b --jwks-file \
            j --admin-token-file t
            """
        )
        #expect(options.namedFiles.map(\.path) == ["t", "c", "k", "a", "b", "j"])
        #expect(
            options.fileProblems { option, path in option == "--tls-key" ? "\(path) is empty" : nil
            }.map(\.description) == [
                "confab: --tls-key: k: k is empty"
            ])
    }

    @Test("warns about variables that resemble a setting, and about no others")
    func warnings() throws {
        let options = try serve(
            environment: [
                "CONFAB_LISTN": "1", "CONFAB_ADMIN_URL": "http://x",
                "CONFAB_PORT": "tcp://1.2.3.4:5", "CONFAB_SERVICE_HOST": "h",
                "CONFAB_PORT_8080_TCP": "t", "PATH": "p",
            ])
        #expect(
            options.warnings == [
                """
                environment: CONFAB_LISTN is not a setting and is ignored; did you mean \
                CONFAB_LISTEN?
                """
            ])
    }

    @Test("reports its settings as a table and as JSON")
    func report() throws {
        let options = try serve("--loops 3", environment: ["CONFAB_NODE_ID": "a"])
        let lines = options.report(.text).split(separator: "\n").map {
            $0.split(separator: " ", omittingEmptySubsequences: true)
        }
        #expect(lines.first == ["SETTING", "VALUE", "SOURCE"])
        #expect(lines.contains(["loops", "3", "command", "line"]))
        #expect(lines.contains(["node-id", "a", "environment", "CONFAB_NODE_ID"]))
        #expect(lines.contains(["limit", "json-depth", "32", "default"]))
        #expect(
            options.report(.json).hasPrefix(
                #"""
                {"schema_version":1,"settings":[{"name":"listen","value":"127.0.0.1:8080",\#
                "source":"default"},
                """#
            ))
    }
}
