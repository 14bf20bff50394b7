private let originFormats =
    """
    an origin is https://chat.example, capacitor://localhost, null, https://*.example.org, own or *
    """

extension UsageErrorTests {
    /// Invalid command lines with their errors.
    static let commandLineErrors: [(line: String, words: String)] = [
        (
            "",
            """
            a subcommand is missing; see confab --help
            """
        ),
        ("srve", "\"srve\" is not a subcommand; did you mean confab serve?"),
        ("xyzzy", "\"xyzzy\" is not a subcommand; see confab --help"),
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
        ("serve --listen abc", "--listen: \"abc\" is not HOST:PORT"),
        ("serve --listen=", "--listen: \"\" is not HOST:PORT"),
        ("serve --listen 127.0.0.1:65536", "--listen: \"127.0.0.1:65536\" is not HOST:PORT"),
        ("serve --listen 127.0.0.1:", "--listen: \"127.0.0.1:\" is not HOST:PORT"),
        ("serve --listen 127.0.1:1", "--listen: \"127.0.1:1\" is not HOST:PORT"),
        ("serve --listen [::1:1", "--listen: \"[::1:1\" is not HOST:PORT"),
        (
            "serve --listen ::1:80",
            "--listen: \"::1:80\" is not HOST:PORT; write IPv6 as [ADDRESS]:PORT"
        ),
        (
            "serve --listen :80",
            "--listen: \":80\" is not HOST:PORT; for all interfaces use 0.0.0.0:80 or [::]:80"
        ),
        ("serve --listen a/b:80", "--listen: \"a/b:80\" is not HOST:PORT"),
        ("serve --admin on", "--admin: \"on\" is not HOST:PORT"),
        (
            "serve --admin 0.0.0.0:1",
            "--admin: 0.0.0.0:1 is not on loopback: --admin-token-file is required"
        ),
        (
            "serve --admin-token s3cret",
            "--admin-token: must be on or off; --admin-token-file names a file with tokens"
        ),
        (
            "serve --admin-token off --admin-token-file t",
            "--admin-token: off does not fit --admin-token-file"
        ),
        (
            "serve --webhook http:///hook/s3cret",
            "--webhook: the URL has no valid host and port"
        ),
        (
            "serve --webhook chat.example/s3cret",
            "--webhook: the URL does not begin with https:// or http://"
        ),
        (
            "serve --admin 127.0.0.1:8080",
            "--admin: 127.0.0.1:8080 is also the address of --listen"
        ),
        ("serve --tls-cert c", "--tls-cert needs --tls-key"),
        ("serve --tls-key k", "--tls-key needs --tls-cert"),
        (
            "serve --store redis://u:secret@h:1",
            """
            --store: nodes on Redis must accept the same tokens: --jwt-secret-file, \
            --jwt-public-key-file or --jwks-file is required
            """
        ),
        (
            "serve --store rediss://h --jwks-file j",
            """
            --store: nodes on Redis sign their messages: without --jwt-secret-file, \
            --cluster-key-file is required
            """
        ),
        (
            "serve --store redis://h --jwt-secret-file s --history 0",
            "--history: 0 retains all messages, which only sqlite: supports"
        ),
        (
            "serve --store redis+sentinel://h:1 --jwt-secret-file s",
            "--store: the master's name is missing: redis+sentinel://host:26379/NAME"
        ),
        (
            "serve --store redis://h/x --jwt-secret-file s",
            "--store: \"x\" is not a database number"
        ),
        (
            "serve --cluster-name Chat",
            "--cluster-name: \"Chat\" is not 1 to 32 of the characters a-z 0-9 -"
        ),
        (
            "serve --store mysql://h",
            """
            --store: unknown store kind \"mysql\"; use memory:, sqlite:PATH, redis://HOST:PORT, \
            redis+sentinel:// or redis+cluster://
            """
        ),
        (
            "serve --store memory",
            """
            --store: \"memory\" is not a store URL; use memory:, sqlite:PATH, redis://HOST:PORT, \
            redis+sentinel:// or redis+cluster://
            """
        ),
        ("serve --store memory:x", "--store: memory: must have nothing after the colon"),
        ("serve --store sqlite:", "--store: the path is missing: sqlite:PATH"),
        (
            "serve --store memory: --history 0",
            "--history: 0 retains all messages, which only sqlite: supports"
        ),
        ("serve --history -1", "--history: -1 is not between 0 and 1000000000"),
        (
            "serve --history 99999999999999999999",
            "--history: 99999999999999999999 is not between 0 and 1000000000"
        ),
        ("serve --history many", "--history: \"many\" is not a whole number"),
        ("serve --loops 0", "--loops: 0 is not between 1 and 256"),
        ("serve --anonymous yes", "--anonymous: \"yes\" is neither on nor off"),
        (
            "serve --log-level warn",
            "--log-level: \"warn\" is not one of debug, info, warning, error; did you mean warning?"
        ),
        (
            "serve --log-level loud",
            "--log-level: \"loud\" is not one of debug, info, warning, error"
        ),
        ("serve --drain-seconds 1m", "--drain-seconds: \"1m\" is not a number of seconds"),
        ("serve --jwt-leeway 3601", "--jwt-leeway: 3601 seconds is not between 0 and 3600"),
        ("serve --origins http://a,b", "--origins: \"b\" has no scheme; \(originFormats)"),
        (
            "serve --origins http://a/",
            """
            --origins: \"http://a/\" has a path; an origin has none, not even a slash; \
            \(originFormats)
            """
        ),
        ("serve --origins ://a", "--origins: \"://a\" has no scheme; \(originFormats)"),
        (
            "serve --origins http://",
            "--origins: \"http://\" has no valid host and port; \(originFormats)"
        ),
        (
            "serve --origins https://a:0",
            "--origins: \"https://a:0\" has no valid host and port; \(originFormats)"
        ),
        (
            "serve --origins capacitor://",
            "--origins: \"capacitor://\" has nothing after its scheme; \(originFormats)"
        ),
        (
            "serve --origins https://me@a",
            """
            --origins: \"https://me@a\" has a character that an origin cannot have; \(originFormats)
            """
        ),
        (
            "serve --origins https://*",
            """
            --origins: \"https://*\" must have its * before a host: *.example.org; \(originFormats)
            """
        ),
        (
            "serve --origins https://a.*.org",
            """
            --origins: \"https://a.*.org\" must have its * before a host: *.example.org; \
            \(originFormats)
            """
        ),
        (
            "serve --origins app://*.a",
            "--origins: \"app://*.a\" has a *, which only http and https may have; \(originFormats)"
        ),
        (
            "serve --origins https://*.10.0.0.1",
            """
            --origins: \"https://*.10.0.0.1\" has a * before a host without subdomains; \
            \(originFormats)
            """
        ),
        (
            "serve --cors-headers a,b:c",
            "--cors-headers: \"b:c\" is not a header name such as traceparent"
        ),
        (
            "serve --cors-headers *",
            "--cors-headers: \"*\" is not a header name such as traceparent"
        ),
        (
            "serve --public-url chat.example",
            "--public-url: \"chat.example\" is not a URL such as https://chat.example"
        ),
        (
            "serve --public-url https://a?b",
            "--public-url: \"https://a?b\" is not a URL such as https://chat.example"
        ),
        (
            "serve --public-url https://example.org/chat",
            """
            --public-url: \"https://example.org/chat\" has a path; the pages are at the root of \
            a host of their own, such as https://chat.example
            """
        ),
        (
            "serve --trusted-proxies 10.0.0.1/8",
            """
            --trusted-proxies: \"10.0.0.1/8\" is not loopback, none, or an address or network \
            such as 10.0.0.0/8
            """
        ),
        ("serve --echo-path echo", "--echo-path: \"echo\" is not a path such as /echo"),
        (
            "serve --node-id a/b",
            "--node-id: \"a/b\" is not 1 to 64 of the characters A-Z a-z 0-9 . _ -"
        ),
        ("serve --limit content-bytes", "--limit: \"content-bytes\" is not NAME=VALUE"),
        (
            "serve --limit conent-bytes=1",
            "--limit: \"conent-bytes\" is not a limit; did you mean content-bytes?"
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
        ("config chek", "\"config chek\" is not a subcommand; did you mean confab config check?"),
        ("config show --output csv", "--output: \"csv\" is not one of text, json"),
        ("config check --listen x", "--listen: \"x\" is not HOST:PORT"),
        ("token", "token: --sub USER is missing; see confab token --help"),
        (
            "token --sub a",
            "token: --secret-file FILE or --database PATH is missing; see confab token --help"
        ),
        (
            "token --sub a --secret-file s --database d",
            "token: give either --secret-file or --database, not both"
        ),
        (
            "token --sub a --secret-file s --ttl 1w",
            "--ttl: \"1w\" is not a time such as 90s, 30m, 1h or 7d"
        ),
        (
            "token --sub a --secret-file s --ttl 0s",
            "--ttl: \"0s\" is not a time such as 90s, 30m, 1h or 7d"
        ),
        ("token --sub a --secret-file s --ttl 9999999d", "--ttl: 9999999d is more than ten years"),
        ("token --sub a --secret-file s --admin=yes", "--admin takes no value"),
        (
            "token --sub a --secret-file s --conversations a,b/c",
            "--conversations: \"b/c\" is not 1 to 128 of the characters A-Z a-z 0-9 . _ : -"
        ),
        ("chat", "chat: URL is missing; see confab chat --help"),
        ("chat ftp://x", "URL: \"ftp://x\" is not a URL such as ws://127.0.0.1:8080"),
        ("chat ws://", "URL: \"ws://\" is not a URL such as ws://127.0.0.1:8080"),
        (
            "chat ws://h --token t --token-file f",
            "chat: give either --token or --token-file, not both"
        ),
        (
            "chat ws://h --dialect cats",
            """
            --dialect: \"cats\" is not one of conversations, pets, chats, rooms, agents; did you \
            mean chats?
            """
        ),
        (
            "chat ws://h --conversation a/b",
            "--conversation: \"a/b\" is not 1 to 128 of the characters A-Z a-z 0-9 . _ : -"
        ),
        (
            "chat ws://h --name Ann --token t",
            "chat: --name: only for anonymous connections; a token already names you"
        ),
        (
            "chat ws://h --name Ann --token-file f",
            "chat: --name: only for anonymous connections; a token already names you"
        ),
        (
            "chat ws://h --name Ann --dialect agents",
            "chat: --name: only for anonymous connections; this protocol requires a token"
        ),
        (
            "chat ws://h --name Ann --dialect pets",
            "chat: --name: only for chats and rooms; in pets the server names anonymous users"
        ),
        ("copy", "copy: --from sqlite:PATH is missing; see confab copy --help"),
        ("copy --from sqlite:a", "copy: --to redis://HOST:PORT is missing; see confab copy --help"),
        (
            "copy --from redis://h --to redis://h",
            "--from: only a SQLite database can be copied: sqlite:PATH"
        ),
        (
            "copy --from sqlite:a --to memory:",
            "--to: the target must be Redis: redis://HOST:PORT"
        ),
        (
            "bench",
            """
            bench: SCENARIO (broadcast, groups, idle, connect, send) is missing; see confab bench \
            --help
            """
        ),
        ("bench idle", "bench: URL is missing; see confab bench --help"),
        (
            "bench brodcast ws://h",
            """
            SCENARIO: \"brodcast\" is not one of broadcast, groups, idle, connect, send; did you \
            mean broadcast?
            """
        ),
        (
            "bench groups ws://h --connections 2 --groups 3",
            "bench: --groups 3 is more than --connections 2"
        ),
        ("bench idle ws://h i", "URL: \"i\" is not a URL such as ws://127.0.0.1:8080"),
        ("bench idle ws://h --server-pid 5,5", "bench: --server-pid 5 is given twice"),
        ("bench idle ws://h --server-pid 5,", "--server-pid: \"\" is not a whole number"),
        (
            "bench idle ws://h --redis redis+cluster://h",
            "--redis: commands are counted on a single server: redis://HOST:PORT"
        ),
        (
            "bench idle ws://h --redis redis://h:0",
            "--redis: a port must be a number from 1 to 65535"
        ),
        ("chat ws://h ws://i", "chat: \"ws://i\" is one argument too many; see confab chat --help"),
        (
            "completion",
            "completion: SHELL (bash, zsh, fish) is missing; see confab completion --help"
        ),
        ("completion tcsh", "SHELL: \"tcsh\" is not one of bash, zsh, fish"),
        ("completion bsh", "SHELL: \"bsh\" is not one of bash, zsh, fish; did you mean bash?"),
        ("help srve", "\"srve\" is not a subcommand; did you mean confab serve?"),
    ]
}
