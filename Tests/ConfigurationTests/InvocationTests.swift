import Dialects
import RedisClient
import Testing

@testable import Configuration

@Suite("A command line")
struct InvocationTests {
    @Test("of token has the claims and the key")
    func token() throws {
        var expected = TokenOptions()
        expected.subject = "alice"
        expected.key = .secretFile("s")
        #expect(try invoke("token --sub alice --secret-file s") == .token(expected))

        expected.username = "Alice"
        expected.tenant = "t-1"
        expected.agent = "a"
        expected.conversations = .listed(["1", "lobby"])
        expected.isAdmin = true
        expected.lifetime = .seconds(7 * 86_400)
        expected.audience = "aud"
        expected.issuer = "iss"
        expected.key = .databaseSecret("d")
        #expect(
            try invoke(
                """
                token --sub alice --username Alice --tenant t-1 --agent a --conversations 1,lobby \
                --admin --ttl 7d --audience aud --issuer iss \
                --database d
                """) == .token(expected))
    }

    @Test(
        "of token grants all conversations with a star, wherever it is",
        arguments: ["*", "1,*", "*,1"])
    func star(list: String) throws {
        guard
            case .token(let options) = try invoke(
                "token --sub a --secret-file s --conversations \(list)")
        else {
            Issue.record("no token")
            return
        }
        #expect(options.conversations == .all)
    }

    @Test(
        "of token parses durations",
        arguments: [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800)])
    func times(text: String, seconds: Int) throws {
        #expect(try ValueParsing.lifetime(text) == .seconds(seconds))
    }

    @Test("of chat and bench may have options before and after arguments")
    func order() throws {
        var chat = ChatOptions()
        chat.url = "wss://h/conversations/1/"
        chat.tokenFile = "F"
        chat.isPlain = true
        for line in [
            "--token-file F --plain URL", "URL --token-file F --plain",
            "--plain URL --token-file=F", "--token-file F --plain -- URL",
        ] {
            #expect(try invoke("chat " + line.replacing("URL", with: chat.url)) == .chat(chat))
        }
        var stranger = ChatOptions()
        stranger.url = "ws://h"
        stranger.dialect = "rooms"
        stranger.conversation = "abc12345"
        stranger.name = "Ann"
        #expect(
            try invoke("chat --dialect rooms ws://h --conversation=abc12345 --name Ann")
                == .chat(stranger))
        var bench = BenchOptions(.groups, urls: ["ws://h:1", "wss://i"])
        bench.connections = 7
        bench.groups = 2
        bench.publishers = 3
        bench.rate = 0
        bench.window = 4
        bench.duration = .milliseconds(1500)
        bench.warmup = .zero
        bench.messageBytes = 64
        bench.secretFile = "s"
        bench.serverProcesses = [42, 7, 43]
        bench.redis = try RedisURL("redis://:p@h:6400")
        bench.adapter = "raw"
        bench.output = .json
        #expect(
            try invoke(
                """
                bench --connections 7 groups --groups 2 --publishers 3 --rate 0 ws://h:1 --window \
                4 --seconds 1.5 wss://i --warmup 0 --message-bytes 64 --secret-file s --server-pid \
                42,7 --server-pid 43 --redis redis://:p@h:6400 --adapter raw --output json
                """) == .bench(bench))
    }

    @Test("has the defaults of bench and token that the help states")
    func defaults() throws {
        let bench = BenchTable.bindings(DialectList.all.choices).compactMap { binding in
            binding.spec.defaultText.map { "--\(binding.spec.name) \($0)" }
        }
        #expect(
            try invoke("bench idle ws://h " + bench.joined(separator: " "))
                == invoke("bench idle ws://h"))
        #expect(
            try invoke("token --sub a --secret-file s --ttl 1h")
                == invoke("token --sub a --secret-file s"))
    }

    @Test("of config accepts the options of serve")
    func config() throws {
        let options = try serve("--loops 2")
        #expect(try invoke("config check --loops 2") == .checkConfiguration(options))
        #expect(try invoke("config show --loops 2") == .showConfiguration(options, .text))
        #expect(
            try invoke("config show --loops 2 --output json") == .showConfiguration(options, .json))
    }

    @Test("selects help, the version or a script")
    func others() throws {
        for line in ["--help", "-h", "help"] {
            #expect(try invoke(line) == .help(HelpText.overview(.program)))
        }
        for command in CommandTable.program.all {
            for line in [
                "\(command.name) --help", "\(command.name) -h", "\(command.name) --nonsense --help",
                "help \(command.name)",
            ] {
                #expect(try invoke(line) == .help(HelpText.text(of: command)), "\(line)")
            }
        }
        #expect(try invoke("config --help") == invoke("help config"))
        #expect(try invoke("--version") == .version)
        for shell in Shell.allCases {
            #expect(try invoke("completion \(shell.rawValue)") == .completion(shell))
        }
    }

    @Test("treats --help as an argument only after --")
    func helpAsArgument() {
        #expect(
            errorText("serve -- --help")
                == "confab: serve: \"--help\" is one argument too many; see confab serve --help")
    }

    @Test("uses the last value of a repeated option")
    func repetition() throws {
        #expect(try serve("--loops 1 --loops 2").loops == 2)
        #expect(
            try serve("--origins http://a --origins http://b").origins.others == [
                "http://a", "http://b",
            ])
    }

    @Test(
        "parses addresses",
        arguments: [
            ("127.0.0.1:80", true), ("[::1]:80", true), ("localhost:80", true),
            ("0.0.0.0:80", false), ("[::]:80", false),
            ("node-1.example:80", false),
        ])
    func addresses(text: String, isLoopback: Bool) throws {
        let address = try ListenAddress.parse(text)
        #expect(address.description == text)
        #expect(address.isLoopback == isLoopback)
    }

    @Test(
        "parses origins",
        arguments: [
            ("http://A.example", "http://a.example"), ("https://a:443", "https://a"),
            ("http://a:443", "http://a:443"),
            ("http://[::1]:3000", "http://[::1]:3000"), ("http://[::1]", "http://[::1]"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://AbC", "chrome-extension://abc"), ("null", "null"),
            ("file://", "file://"), ("tauri+x.y://a:9", "tauri+x.y://a:9"),
        ])
    func origins(text: String, expected: String) throws {
        var origins = AllowedOrigins()
        try AllowedOrigins.add(text, to: &origins)
        #expect(origins.others == [expected])
        #expect(
            origins.own && !origins.any && origins.subdomains.isEmpty,
            "its own pages are never foreign")
    }

    @Test(
        "parses origins of subdomains",
        arguments: [
            ("https://*.Example.org", "https", "example.org", nil),
            ("http://*.a.test:80", "http", "a.test", nil),
            ("https://*.a.test:8443", "https", "a.test", 8443),
        ] as [(String, String, String, UInt16?)])
    func subdomains(text: String, scheme: String, parent: String, port: UInt16?) throws {
        var origins = AllowedOrigins()
        try AllowedOrigins.add(text, to: &origins)
        #expect(
            origins
                == AllowedOrigins(
                    own: true, subdomains: [.init(scheme: scheme, parent: parent, port: port)]))
    }

    @Test("accepts none for an empty list")
    func emptyLists() throws {
        for options in [
            try serve("--origins none --trusted-proxies none"),
            try serve("--config c", files: ["c": #"{"origins": [], "trusted-proxies": []}"#]),
        ] {
            #expect(options.origins == AllowedOrigins())
            #expect(options.trustedProxies.isEmpty)
        }
        #expect(try serve("--origins *").origins.any)
    }

    @Test("reads a file from disk, or reports the error")
    func realFiles() throws {
        #expect(throws: FileProblem("No such file or directory")) {
            try FileProblem.read("/nonexistent/confab.json")
        }
        #expect(throws: FileProblem("Is a directory")) { try FileProblem.read("/") }
        #expect(try FileProblem.read("/dev/null").isEmpty)
        #expect(throws: FileProblem.self) { try FileProblem.read("/dev/zero") }
    }
}
