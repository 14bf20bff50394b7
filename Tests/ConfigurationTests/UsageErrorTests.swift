import Testing

@testable import Configuration

private let originFormats =
    "an origin is https://chat.example, capacitor://localhost, null, https://*.example.org, own or *"

@Suite("A wrong command line")
struct UsageErrorTests {
    static let commandLineErrors: [(line: String, words: String)] = [
        (
            "",
            "a subcommand is missing: serve, token, chat, bench, status, nodes, shards, owner, history, tail, send, verify, redis, events, drain, resume, config, completion, help; see confab --help"
        ),
        ("srve", "\"srve\" is no subcommand; did you mean confab serve?"),
        ("xyzzy", "\"xyzzy\" is no subcommand; see confab --help"),
        ("--lissten 1", "--lissten: no such option; see confab --help"),
        ("--listen :1 serve", "--listen: no such option; did you mean confab serve --listen?"),
        ("serve --lissten a:1", "--lissten: no such option; did you mean --listen?"),
        ("serve -listen a:1", "-listen: no such option; did you mean --listen?"),
        ("serve --xyzzy=secret", "--xyzzy: no such option; see confab serve --help"),
        (
            "serve -- --listen",
            "serve: \"--listen\" is one argument too many; see confab serve --help"
        ),
        ("serve listen", "serve: \"listen\" is one argument too many; did you mean --listen?"),
        ("serve --listen", "--listen needs a value: --listen HOST:PORT"),
        ("serve --listen --admin off", "--listen needs a value: --listen HOST:PORT"),
        ("serve --listen abc", "--listen: \"abc\" is no HOST:PORT"),
        ("serve --listen=", "--listen: \"\" is no HOST:PORT"),
        ("serve --listen 127.0.0.1:65536", "--listen: \"127.0.0.1:65536\" is no HOST:PORT"),
        ("serve --listen 127.0.0.1:", "--listen: \"127.0.0.1:\" is no HOST:PORT"),
        ("serve --listen 127.0.1:1", "--listen: \"127.0.1:1\" is no HOST:PORT"),
        ("serve --listen [::1:1", "--listen: \"[::1:1\" is no HOST:PORT"),
        (
            "serve --listen ::1:80",
            "--listen: \"::1:80\" is no HOST:PORT; IPv6 is written [ADDRESS]:PORT"
        ),
        (
            "serve --listen :80",
            "--listen: \":80\" is no HOST:PORT; every interface is 0.0.0.0:80 or [::]:80"
        ),
        ("serve --listen a/b:80", "--listen: \"a/b:80\" is no HOST:PORT"),
        ("serve --admin on", "--admin: \"on\" is no HOST:PORT"),
        (
            "serve --admin 0.0.0.0:1",
            "--admin: 0.0.0.0:1 is not on loopback, so that --admin-token-file is required"
        ),
        (
            "serve --admin 127.0.0.1:8080",
            "--admin: 127.0.0.1:8080 is where clients connect (--listen)"
        ),
        ("serve --tls-cert c", "--tls-cert needs --tls-key"),
        ("serve --tls-key k", "--tls-key needs --tls-cert"),
        (
            "serve --store redis://u:secret@h:1",
            "--store: all nodes on Redis must know the same tokens, so that --jwt-secret-file, --jwt-public-key-file or --jwks-file is required"
        ),
        (
            "serve --store rediss://h --jwks-file j",
            "--store: nodes on Redis sign their mail, so that --cluster-key-file is required where there is no --jwt-secret-file"
        ),
        (
            "serve --store redis://h --jwt-secret-file s --history 0",
            "--history: 0 keeps all messages, which only sqlite: can"
        ),
        (
            "serve --store redis+sentinel://h:1 --jwt-secret-file s",
            "--store: the master's name is missing: redis+sentinel://host:26379/NAME"
        ),
        (
            "serve --store redis://h/x --jwt-secret-file s",
            "--store: \"x\" is no number of a database"
        ),
        (
            "serve --cluster-name Chat",
            "--cluster-name: \"Chat\" is not 1 to 32 of the characters a-z 0-9 -"
        ),
        (
            "serve --store mysql://h",
            "--store: unknown store kind \"mysql\"; known are memory:, sqlite:PATH, redis://HOST:PORT, redis+sentinel:// and redis+cluster://"
        ),
        (
            "serve --store memory",
            "--store: \"memory\" is no store URL; known are memory:, sqlite:PATH, redis://HOST:PORT, redis+sentinel:// and redis+cluster://"
        ),
        ("serve --store memory:x", "--store: memory: takes nothing behind the colon"),
        ("serve --store sqlite:", "--store: the path is missing: sqlite:PATH"),
        (
            "serve --store memory: --history 0",
            "--history: 0 keeps all messages, which only sqlite: can"
        ),
        ("serve --history -1", "--history: -1 is not between 0 and 1000000000"),
        (
            "serve --history 99999999999999999999",
            "--history: 99999999999999999999 is not between 0 and 1000000000"
        ),
        ("serve --history many", "--history: \"many\" is no whole number"),
        ("serve --loops 0", "--loops: 0 is not between 1 and 256"),
        ("serve --anonymous yes", "--anonymous: \"yes\" is neither on nor off"),
        (
            "serve --log-level warn",
            "--log-level: \"warn\" is none of debug, info, warning, error; did you mean warning?"
        ),
        ("serve --log-level loud", "--log-level: \"loud\" is none of debug, info, warning, error"),
        ("serve --drain-seconds 1m", "--drain-seconds: \"1m\" is no number of seconds"),
        ("serve --jwt-leeway 3601", "--jwt-leeway: 3601 seconds is not between 0 and 3600"),
        ("serve --origins http://a,b", "--origins: \"b\" has no scheme; \(originFormats)"),
        (
            "serve --origins http://a/",
            "--origins: \"http://a/\" has a path, which no origin has, not even a slash; \(originFormats)"
        ),
        ("serve --origins ://a", "--origins: \"://a\" has no scheme; \(originFormats)"),
        (
            "serve --origins http://",
            "--origins: \"http://\" has no host, or a bad one or a bad port; \(originFormats)"
        ),
        (
            "serve --origins https://a:0",
            "--origins: \"https://a:0\" has no host, or a bad one or a bad port; \(originFormats)"
        ),
        (
            "serve --origins capacitor://",
            "--origins: \"capacitor://\" has nothing behind its scheme; \(originFormats)"
        ),
        (
            "serve --origins https://me@a",
            "--origins: \"https://me@a\" has a letter that no origin has; \(originFormats)"
        ),
        (
            "serve --origins https://*",
            "--origins: \"https://*\" has its * elsewhere than in front of a host: *.example.org; \(originFormats)"
        ),
        (
            "serve --origins https://a.*.org",
            "--origins: \"https://a.*.org\" has its * elsewhere than in front of a host: *.example.org; \(originFormats)"
        ),
        (
            "serve --origins app://*.a",
            "--origins: \"app://*.a\" has a * where only http and https may have one; \(originFormats)"
        ),
        (
            "serve --origins https://*.10.0.0.1",
            "--origins: \"https://*.10.0.0.1\" has a * in front of what has no subdomains; \(originFormats)"
        ),
        (
            "serve --cors-headers a,b:c",
            "--cors-headers: \"b:c\" is no name of a header such as traceparent"
        ),
        (
            "serve --cors-headers *",
            "--cors-headers: \"*\" is no name of a header such as traceparent"
        ),
        (
            "serve --public-url chat.example",
            "--public-url: \"chat.example\" is no URL such as https://chat.example or https://example.org/chat"
        ),
        (
            "serve --public-url https://a?b",
            "--public-url: \"https://a?b\" is no URL such as https://chat.example or https://example.org/chat"
        ),
        (
            "serve --trusted-proxies 10.0.0.1/8",
            "--trusted-proxies: \"10.0.0.1/8\" is no address or network such as 10.0.0.0/8, nor loopback or none"
        ),
        ("serve --echo-path echo", "--echo-path: \"echo\" is no path such as /echo"),
        (
            "serve --node-id a/b",
            "--node-id: \"a/b\" is not 1 to 64 of the characters A-Z a-z 0-9 . _ -"
        ),
        ("serve --limit content-bytes", "--limit: \"content-bytes\" is no NAME=VALUE"),
        (
            "serve --limit conent-bytes=1",
            "--limit: \"conent-bytes\" is no limit; did you mean content-bytes?"
        ),
        ("serve --limit json-depth=0", "--limit: json-depth: 0 is not between 4 and 512"),
        (
            "serve --limit idle-seconds=20 --limit ping-seconds=11",
            "--limit ping-seconds is above half of idle-seconds: raise idle-seconds, too"
        ),
        (
            "serve --limit content-bytes=100000",
            "--limit content-bytes is above message-bytes: raise message-bytes, too"
        ),
        ("serve --config c.json", "c.json: cannot be read: No such file or directory"),
        ("config", "config: check or show is missing; see confab config --help"),
        ("config chek", "\"config chek\" is no subcommand; did you mean confab config check?"),
        ("config show --output csv", "--output: \"csv\" is none of text, json"),
        ("config check --listen x", "--listen: \"x\" is no HOST:PORT"),
        ("token", "token: --sub USER is missing; see confab token --help"),
        (
            "token --sub a",
            "token: --secret-file FILE or --database PATH is missing; see confab token --help"
        ),
        (
            "token --sub a --secret-file s --database d",
            "token: --secret-file and --database are two secrets; give one"
        ),
        (
            "token --sub a --secret-file s --ttl 1w",
            "--ttl: \"1w\" is no time such as 90s, 30m, 1h or 7d"
        ),
        (
            "token --sub a --secret-file s --ttl 0s",
            "--ttl: \"0s\" is no time such as 90s, 30m, 1h or 7d"
        ),
        ("token --sub a --secret-file s --ttl 9999999d", "--ttl: 9999999d is more than ten years"),
        ("token --sub a --secret-file s --admin=yes", "--admin takes no value"),
        (
            "token --sub a --secret-file s --conversations a,b/c",
            "--conversations: \"b/c\" is not 1 to 128 of the characters A-Z a-z 0-9 . _ : -"
        ),
        ("chat", "chat: URL is missing; see confab chat --help"),
        ("chat ftp://x", "URL: \"ftp://x\" is no URL such as ws://127.0.0.1:8080"),
        ("chat ws://", "URL: \"ws://\" is no URL such as ws://127.0.0.1:8080"),
        (
            "chat ws://h --token t --token-file f",
            "chat: --token and --token-file are two tokens; give one"
        ),
        (
            "chat ws://h --dialect cats",
            "--dialect: \"cats\" is none of conversations, pets, chats, rooms, agents; did you mean chats?"
        ),
        (
            "chat ws://h --conversation a/b",
            "--conversation: \"a/b\" is not 1 to 128 of the characters A-Z a-z 0-9 . _ : -"
        ),
        (
            "chat ws://h --name Ann --token t",
            "chat: --name is for who has no token, which has a name of its own"
        ),
        (
            "chat ws://h --name Ann --token-file f",
            "chat: --name is for who has no token, which has a name of its own"
        ),
        (
            "chat ws://h --name Ann --dialect agents",
            "chat: --name is for who has no token, and this protocol needs one"
        ),
        (
            "chat ws://h --name Ann --dialect pets",
            "chat: --name is for chats and rooms; in pets the server gives strangers their names"
        ),
        (
            "bench",
            "bench: SCENARIO (broadcast, groups, idle, connect, send) is missing; see confab bench --help"
        ),
        ("bench idle", "bench: URL is missing; see confab bench --help"),
        (
            "bench brodcast ws://h",
            "SCENARIO: \"brodcast\" is none of broadcast, groups, idle, connect, send; did you mean broadcast?"
        ),
        (
            "bench groups ws://h --connections 2 --groups 3",
            "bench: --groups 3 is more than --connections 2"
        ),
        ("bench idle ws://h i", "URL: \"i\" is no URL such as ws://127.0.0.1:8080"),
        ("bench idle ws://h --server-pid 5,5", "bench: --server-pid 5 is given twice"),
        ("bench idle ws://h --server-pid 5,", "--server-pid: \"\" is no whole number"),
        (
            "bench idle ws://h --redis redis+cluster://h",
            "--redis: counts are asked of one server: redis://HOST:PORT"
        ),
        ("bench idle ws://h --redis redis://h:0", "--redis: a port is no number from 1 to 65535"),
        ("chat ws://h ws://i", "chat: \"ws://i\" is one argument too many; see confab chat --help"),
        (
            "completion",
            "completion: SHELL (bash, zsh, fish) is missing; see confab completion --help"
        ),
        ("completion tcsh", "SHELL: \"tcsh\" is none of bash, zsh, fish"),
        ("completion bsh", "SHELL: \"bsh\" is none of bash, zsh, fish; did you mean bash?"),
        ("help srve", "\"srve\" is no subcommand; did you mean confab serve?"),
    ]

    @Test("gets one clear line that names the option and the value", arguments: commandLineErrors)
    func commandLine(line: String, words: String) {
        #expect(errorText(line) == "confab: " + words)
    }

    static let files: [(text: String, words: String)] = [
        ("", "c.json: line 1: The JSON is malformed at byte 0: it ends too early."),
        (
            "{\n  \"listen\" 1\n}",
            "c.json: line 2: The JSON is malformed at byte 13: a colon was expected."
        ),
        ("[]", "c.json: must be a JSON object: {\"listen\": \"127.0.0.1:8080\"}"),
        (#"{"lissten": "a:1"}"#, "c.json: \"lissten\" is no setting; did you mean listen?"),
        (#"{"config": "d.json"}"#, "c.json: \"config\" is no setting; see confab serve --help"),
        (#"{"help": true}"#, "c.json: \"help\" is no setting; see confab serve --help"),
        (#"{"loops": 1, "loops": 2}"#, "c.json: loops stands there twice"),
        (#"{"listen": 8080}"#, "c.json: listen: must be a string"),
        (#"{"listen": "8080"}"#, "c.json: listen: \"8080\" is no HOST:PORT"),
        (#"{"loops": "2"}"#, "c.json: loops: must be a number"),
        (#"{"loops": 2.5}"#, "c.json: loops: \"2.5\" is no whole number"),
        (#"{"loops": null}"#, "c.json: loops: must be a number"),
        (#"{"anonymous": "on"}"#, "c.json: anonymous: must be true or false"),
        (#"{"origins": "*"}"#, "c.json: origins: must be an array of strings"),
        (#"{"origins": [1]}"#, "c.json: origins: must be an array of strings"),
        (#"{"limit": ["json-depth=5"]}"#, "c.json: limit: must be an object of numbers"),
        (#"{"limit": {"json-depth": "5"}}"#, "c.json: limit: \"json-depth\" must be a number"),
        (
            #"{"limit": {"json-depht": 5}}"#,
            "c.json: limit: \"json-depht\" is no limit; did you mean json-depth?"
        ),
        (
            #"{"log-level": "loud"}"#,
            "c.json: log-level: \"loud\" is none of debug, info, warning, error"
        ),
        (#"{"listen": "a\nb"}"#, "c.json: listen: \"a\\u{a}b\" is no HOST:PORT"),
    ]

    @Test("or file gets one that names the file, the setting and the value", arguments: files)
    func fileErrors(text: String, words: String) {
        #expect(errorText("serve --config c.json", files: ["c.json": text]) == "confab: " + words)
    }

    @Test("or environment gets one that names the variable")
    func environmentErrors() {
        #expect(
            errorText("serve", environment: ["CONFAB_LISTEN": "x"])
                == "confab: CONFAB_LISTEN: \"x\" is no HOST:PORT")
        #expect(
            errorText("serve", environment: ["CONFAB_ADMIN_LISTEN": "x"])
                == "confab: CONFAB_ADMIN_LISTEN: \"x\" is no HOST:PORT")
        #expect(
            errorText("serve", environment: ["CONFAB_LIMIT": "a=1"])
                == "confab: CONFAB_LIMIT: \"a\" is no limit; see confab serve --help")
        #expect(
            errorText("serve", environment: ["CONFAB_CONFIG": "none"])
                == "confab: none: cannot be read: No such file or directory")
        #expect(
            errorText("serve --listen a:1", environment: ["CONFAB_LISTEN": "x"]) == nil,
            "what is overruled is not read")
    }

    @Test("never repeats a password from a store's URL")
    func secrets() {
        for url in [
            "redis://user:hunter2@h", "rediss://:hunter2@h/1", "redis+cluster://:hunter2@h",
        ] {
            #expect(errorText("serve --store \(url)").map { !$0.contains("hunter2") } == true)
        }
    }

    @Test("of any words gets an answer of one line, and nothing crashes", arguments: 0..<40)
    func fuzz(seed: Int) throws {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func next(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        var words = CommandTable.all.flatMap { command in
            command.name.split(separator: " ").map(String.init)
                + command.options.map { "--" + $0.name } + command.argumentChoices
        }
        words += [
            "", "-", "--", "=", "--=", "-h", "-x", "é", "\u{0}", "a=b", "*", "1", "0", "-1", "1.5",
            "1h", "off", "none", "own", ",",
            "[::]:0",
        ]
        words += [
            "127.0.0.1:1", "memory:", "sqlite:x", "ws://h", "json-depth=5", "ping-seconds=0.5",
            String(repeating: "9", count: 200),
        ]
        for _ in 0..<500 {
            var arguments = (0..<next(7)).map { _ in
                let word = words[next(words.count)]
                switch next(8) {
                case 0: return word + "=" + words[next(words.count)]
                case 1: return String(word.dropFirst(next(3)))
                default: return word
                }
            }
            if next(3) > 0 {
                arguments.insert(
                    ["serve", "token", "chat", "bench", "config", "completion"][next(6)], at: 0)
            }
            let environment = [
                "CONFAB_LIMIT": words[next(words.count)],
                "CONFAB_ORIGINS": words[next(words.count)],
            ]
            do throws(UsageError) {
                _ = try Invocation(arguments, environment: environment) {
                    (_: String) throws(FileProblem) in Array("{}".utf8)
                }
            } catch {
                #expect(error.description.hasPrefix("confab: "))
                #expect(
                    !error.description.unicodeScalars.contains {
                        $0.properties.generalCategory == .control
                    }, "\(arguments)")
            }
        }
    }

    @Test("finds the nearest word by letters added, lost, changed and swapped")
    func spelling() {
        #expect(Spelling.distance("listen", "listen") == 0)
        #expect(Spelling.distance("", "abc") == 3)
        #expect(Spelling.distance("litsen", "listen") == 1)
        #expect(Spelling.distance("lissten", "listen") == 1)
        #expect(Spelling.distance("listn", "listen") == 1)
        #expect(Spelling.distance("kitten", "sitting") == 3)
        #expect(Spelling.nearest(to: "hist", among: ["history", "help"]) == "history")
        #expect(Spelling.nearest(to: "zzzzzz", among: ["history", "help"]) == nil)
    }
}
