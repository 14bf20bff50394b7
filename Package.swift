// swift-tools-version: 6.2
// The map of Confab: modules in layers. A module may import only what it names here, which
// script/style checks. docs/architecture.md describes each module.
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    // Without indexing the standard library, which takes a sixth of a debug build.
    .unsafeFlags(["-index-ignore-system-modules"], .when(configuration: .debug)),
    // Halves the cost of generic code that crosses a module boundary.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

/// The settings of the program's modules: without the module of regular expressions, which the
/// compiler would import everywhere, and the linker would add to the program.
let programSettings =
    settings + [
        .unsafeFlags(["-Xfrontend", "-disable-implicit-string-processing-module-import"])
    ]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: programSettings)
}

/// The modules of one folder of Sources.
func layer(_ folder: String, _ modules: [Target]) -> [Target] {
    for module in modules { module.path = "Sources/\(folder)/\(module.name)" }
    return modules
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestTraits"], swiftSettings: settings)
}

/// A C library of Debian 12: a module map only. SwiftPM names the package if it is not installed.
func systemLibrary(
    _ name: String, pkgConfig: String, package: String, in folder: String? = nil
) -> Target {
    .systemLibrary(
        name: name, path: folder.map { "\($0)/\(name)" }, pkgConfig: pkgConfig,
        providers: [.apt([package])])
}

/// A library for tests.
func testSupport(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: settings)
}

/// A program that tests start.
func testProgram(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: settings)
}

/// The port of client protocols, and the values of the chat that it uses.
let dialectPort: [Target.Dependency] = ["DialectKit", "ChatModel", "Identity", "JSON", "Bytes"]

func dialect(_ name: String, _ others: [Target.Dependency] = []) -> Target {
    module(name, others + dialectPort)
}

func dialectTests(_ name: String, _ others: [Target.Dependency] = []) -> Target {
    tests("\(name)Tests", [.byName(name: name), "DialectTestSupport"] + others + dialectPort)
}

// The layers of the program, from bottom to top. A module imports only modules of its own layer and
// of those below it, which script/style checks.

/// Bytes, JSON, logs and metrics.
let base = layer(
    "base",
    [
        // One instruction of the processor.
        .systemLibrary(name: "CPrefetch"),
        module("Bytes", ["CPrefetch"]),
        module("JSON", ["Bytes"]),
        module("Telemetry", ["Bytes", "JSON"]),
    ])

/// Sockets and wire formats. Only EventLoop uses epoll and io_uring; the formats have no sockets.
let net = layer(
    "net",
    [
        // The C library's own headers.
        .systemLibrary(name: "CLinux"),
        systemLibrary("CURing", pkgConfig: "liburing", package: "liburing-dev"),
        systemLibrary("COpenSSL", pkgConfig: "openssl", package: "libssl-dev"),
        systemLibrary("CZlib", pkgConfig: "zlib", package: "zlib1g-dev"),
        module("EventLoop", ["CLinux", "CURing", "Bytes"]),
        module("HTTPWire", ["CZlib", "COpenSSL", "Bytes"]),
        module("EngineIO", ["JSON", "Bytes"]),
        module("SocketIO", ["JSON", "Bytes"]),
        module("TLS", ["COpenSSL", "EventLoop", "Bytes"]),
        // Requests to other servers.
        module("HTTPClient", ["HTTPWire", "TLS", "EventLoop", "Bytes"]),
        module("Identity", ["COpenSSL", "Bytes", "JSON"]),
    ])

/// The chat and the cluster, as values.
let chat = layer(
    "chat",
    [
        module("ChatModel", ["Bytes"]),
        module("ChatCore", ["ChatModel", "Bytes"]),
        module("Cluster", ["ChatModel", "Bytes"]),
        module("ChatEngine", ["Cluster", "ChatCore", "ChatModel", "Bytes"]),
        module(
            "ClusterWire",
            ["ChatEngine", "Cluster", "ChatCore", "ChatModel", "Identity", "JSON", "Bytes"]),
    ])

/// SQLite and Redis.
let stores = layer(
    "stores",
    [
        systemLibrary("CSQLite", pkgConfig: "sqlite3", package: "libsqlite3-dev"),
        systemLibrary("CHiredis", pkgConfig: "hiredis", package: "libhiredis-dev"),
        module("EmbeddedStore", ["CSQLite", "ChatModel", "Telemetry", "Bytes"]),
        module("RedisClient", ["CHiredis", "COpenSSL", "EventLoop", "TLS", "Telemetry", "Bytes"]),
        module("RedisStore", ["RedisClient", "EventLoop", "ChatModel", "Bytes"]),
    ])

/// The client protocols: dialects only translate.
let protocols = layer(
    "protocols",
    [
        module("DialectKit", ["EngineIO", "ChatModel", "Identity", "JSON", "Bytes"]),
        dialect("ConversationsDialect"),
        dialect("PetsDialect"),
        dialect("ChatsDialect"),
        dialect("AgentsDialect"),
        dialect("RoomsDialect", ["EngineIO", "SocketIO"]),
        // The sessions of dialects over Engine.IO: values.
        module("EngineTransport", ["EngineIO", "EventLoop", "HTTPWire", "ChatModel", "Bytes"]),
    ])

/// The shells of a node.
let node = layer(
    "node",
    [
        module("Configuration", ["ChatModel", "RedisClient", "Telemetry", "JSON", "Bytes"]),
        // A node's membership in the cluster.
        module(
            "NodeLink",
            [
                "RedisStore", "RedisClient", "ClusterWire", "ChatEngine", "Cluster", "ChatModel",
                "EventLoop", "Telemetry", "JSON", "Bytes",
            ]),
        module(
            "Gateway",
            [
                "EngineIO", "EngineTransport", "EventLoop", "HTTPWire", "TLS", "Identity",
                "ChatEngine", "Cluster", "ChatCore", "ChatModel", "Configuration", "DialectKit",
                "Telemetry", "JSON", "Bytes",
            ]),
        // Sends events to other systems.
        module(
            "Webhooks",
            [
                "Configuration", "HTTPClient", "TLS", "Identity", "HTTPWire", "EventLoop",
                "ChatModel", "Telemetry", "JSON", "Bytes",
            ]),
        module(
            "AdminAPI",
            [
                "COpenSSL", "Webhooks", "Configuration", "Gateway", "NodeLink", "ClusterWire",
                "ChatEngine", "Cluster", "ChatCore", "ChatModel", "EventLoop", "HTTPWire",
                "Telemetry", "JSON", "Bytes",
            ]),
        module(
            "RoomsAPI",
            [
                "RoomsDialect", "Gateway", "DialectKit", "EventLoop", "ChatModel", "Identity",
                "HTTPWire", "JSON", "Bytes",
            ]),
        // The port of message stores.
        module(
            "StoreKit",
            [
                "AdminAPI", "Gateway", "Webhooks", "Configuration", "ClusterWire", "ChatModel",
                "EventLoop", "Telemetry", "JSON",
            ]),
        // The web pages. CPages embeds their files, and the client kit for JavaScript.
        .target(name: "CPages", exclude: ["web"]),
        module("Pages", ["CPages", "Gateway", "DialectKit", "HTTPWire", "Identity", "Bytes"]),
    ])

/// Clients, the terminal, the operators' verbs, the load generator.
let tools = layer(
    "tools",
    [
        module(
            "ConfabClient",
            [
                "EngineIO", "SocketIO", "EventLoop", "HTTPClient", "HTTPWire", "TLS", "JSON",
                "Bytes",
            ]),
        // A terminal's modes and the widths of characters.
        module("TerminalKit"),
        module("ChatTerminal", ["TerminalKit", "ConfabClient", "EventLoop", "Telemetry", "Bytes"]),
        module(
            "OperatorClient",
            [
                "TerminalKit", "NodeLink", "Configuration", "RedisClient", "ClusterWire",
                "ChatEngine", "Cluster", "ChatModel", "EventLoop", "TLS", "HTTPWire", "Telemetry",
                "JSON", "Bytes",
            ]),
        module(
            "LoadGenerator",
            [
                "Configuration", "TLS", "ConfabClient", "EngineIO", "RedisClient", "Identity",
                "EventLoop", "HTTPWire", "Telemetry", "JSON", "Bytes",
            ]),
        // Copies a SQLite database into Redis.
        module(
            "StoreCopy",
            [
                "NodeLink", "RedisStore", "RedisClient", "EmbeddedStore", "ChatModel", "Bytes",
            ]),
    ])

/// The program, and its lists of dialects and stores, which tests use too.
let program = layer(
    "program",
    [
        module(
            "Dialects",
            [
                "ConversationsDialect", "PetsDialect", "ChatsDialect", "RoomsDialect",
                "AgentsDialect", "ConfabClient", "LoadGenerator", "Configuration", "DialectKit",
                "ChatModel", "EngineIO",
            ]),
        module(
            "Stores",
            [
                "EmbeddedStore", "RedisStore", "RedisClient", "NodeLink", "StoreKit", "AdminAPI",
                "Gateway", "Webhooks", "Configuration", "ClusterWire", "ChatEngine", "Cluster",
                "ChatModel", "EventLoop", "Telemetry", "JSON", "Bytes",
            ]),
        .executableTarget(
            name: "confab",
            dependencies: [
                "Dialects", "Stores", "AdminAPI", "ChatTerminal", "ConfabClient", "ClusterWire",
                "Configuration", "EmbeddedStore", "Gateway", "Identity", "LoadGenerator",
                "NodeLink", "OperatorClient", "Pages", "RoomsAPI", "StoreCopy", "StoreKit",
                "Webhooks", "Telemetry", "TLS", "EventLoop", "ChatModel", "DialectKit", "JSON",
                "Bytes",
            ],
            swiftSettings: programSettings,
            // No other program loads symbols from this one, so unused functions can be removed.
            linkerSettings: [
                .unsafeFlags(
                    ["-use-ld=lld", "-Xlinker", "--no-export-dynamic"],
                    .when(configuration: .release))
            ]),
    ])

/// Tests, their libraries and the programs that they start.
let testTargets: [Target] = [
    tests("BytesTests", ["SeededRandom", "Bytes"]),
    tests("JSONTests", ["SeededRandom", "JSON", "Bytes"]),
    tests("TelemetryTests", ["TestKit", "Telemetry", "JSON", "Bytes"]),
    tests("EventLoopTests", ["SeededRandom", "EventLoop", "Bytes"]),
    tests("HTTPWireTests", ["SeededRandom", "HTTPWire", "Bytes"]),
    tests("EngineIOTests", ["SeededRandom", "EngineIO", "JSON", "Bytes"]),
    tests(
        "EngineTransportTests",
        [
            "SeededRandom", "EngineTransport", "EngineIO", "EventLoop", "HTTPWire", "ChatModel",
            "Bytes",
        ]),
    tests("SocketIOTests", ["SeededRandom", "SocketIO", "JSON", "Bytes"]),
    tests("TLSTests", ["TLS", "TestKit", "Bytes"]),
    tests(
        "RedisClientTests",
        ["SeededRandom", "RedisClient", "CHiredis", "TestKit", "EventLoop", "TLS", "Bytes"]),
    tests("IdentityTests", ["SeededRandom", "Identity", "TestKit", "JSON", "Bytes"]),
    tests("ChatModelTests", ["SeededRandom", "ChatModel", "Bytes"]),
    tests(
        "ChatCoreTests", ["SeededRandom", "ChatSimulation", "ChatCore", "ChatModel", "Bytes"]),
    tests(
        "ClusterTests",
        ["SeededRandom", "TestKit", "Cluster", "ChatCore", "ChatModel", "Bytes"]),
    tests(
        "ChatEngineTests",
        [
            "SeededRandom", "TestKit", "ChatSimulation", "EmbeddedStore", "ChatEngine",
            "Cluster", "ChatCore", "ChatModel", "Bytes",
        ]),
    tests(
        "ClusterWireTests",
        [
            "SeededRandom", "TestKit", "AllocationCounter", "ClusterWire", "ChatEngine",
            "Cluster", "ChatCore", "ChatModel", "Identity", "JSON", "Bytes",
        ]),
    tests(
        "ConfigurationTests",
        [
            "Dialects", "Stores", "ChatModel", "Configuration", "RedisClient", "TestKit",
            "Telemetry", "JSON", "Bytes",
        ]),

    // Random numbers that a seed reproduces.
    testSupport("SeededRandom"),

    // The simulation of a cluster under its own clock, and the cost of a message.
    testSupport(
        "ChatSimulation",
        [
            "SeededRandom", "EmbeddedStore", "ChatEngine", "Cluster", "ChatCore", "ChatModel",
            "Bytes",
        ]),
    testProgram(
        "ChatTrials",
        [
            "SeededRandom", "AllocationCounter", "ChatSimulation", "EmbeddedStore",
            "ClusterWire", "ChatEngine", "Cluster", "ChatCore", "ChatModel", "Bytes",
        ]),

    // Machines, links and Redis under one clock and one seed, and real nodes on them.
    systemLibrary("CLua", pkgConfig: "lua5.1", package: "liblua5.1-0-dev", in: "Tests"),
    testSupport("SimulatedNetwork", ["SeededRandom", "EventLoop", "Bytes"]),
    testSupport(
        "SimulatedRedis", ["SimulatedNetwork", "CLua", "RedisClient", "EventLoop", "Bytes"]),
    tests(
        "SimulatedRedisTests",
        ["SimulatedRedis", "SimulatedNodes", "SeededRandom", "TestKit"]),
    testSupport(
        "SimulatedNodes",
        [
            "SimulatedNetwork", "SimulatedRedis", "SeededRandom", "ConversationsDialect",
            "Configuration", "Gateway", "NodeLink", "RedisStore", "RedisClient", "ClusterWire",
            "ChatModel", "EventLoop", "HTTPWire", "Identity", "Telemetry", "JSON", "Bytes",
        ]),
    testProgram("NodeTrials", ["SimulatedNodes", "Telemetry"]),
    tests(
        "SimulatedNodeTests",
        ["SimulatedNodes", "SimulatedNetwork", "NodeTrials", "EventLoop", "TestKit"]),

    // Stores: one contract for all of them. StoreTorture is a process that tests may kill.
    testSupport("StoreTestSupport", ["SeededRandom", "TestKit", "ChatModel", "Bytes"]),
    testProgram("StoreTorture", ["EmbeddedStore", "StoreTestSupport", "ChatModel", "Bytes"]),
    tests(
        "StoreContractTests",
        [
            "SeededRandom", "EmbeddedStore", "RedisStore", "RedisClient", "StoreTestSupport",
            "TestKit", "EventLoop", "ChatModel", "Bytes",
        ]),
    tests(
        "StoreCopyTests",
        [
            "StoreCopy", "NodeLink", "EmbeddedStore", "RedisStore", "RedisClient",
            "StoreTestSupport", "SeededRandom", "TestKit", "EventLoop", "ChatModel", "Bytes",
        ]),
    tests(
        "EmbeddedStoreTests",
        [
            "Telemetry", "SeededRandom", "EmbeddedStore", "StoreTestSupport", "StoreTorture",
            "TestKit", "ChatModel", "Bytes",
        ]),

    // A third store for one node.
    testSupport("ExampleStore", ["EmbeddedStore", "StoreKit", "Configuration", "ChatModel"]),
    tests(
        "ExampleStoreTests",
        [
            "ExampleStore", "Stores", "StoreKit", "StoreTestSupport", "Configuration", "ChatModel",
            "EventLoop", "TestKit", "Telemetry", "Bytes",
        ]),

    // A node in the test's process. AllocationCounter counts the test binary's allocations.
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
    testSupport(
        "GatewayTestSupport",
        [
            "SeededRandom", "ConversationsDialect", "DialectKit", "EmbeddedStore", "Gateway",
            "ChatCore", "ChatModel", "Configuration", "EventLoop", "HTTPWire", "Identity",
            "StoreTestSupport", "TLS", "Telemetry", "TestKit", "Bytes",
        ]),
    tests(
        "GatewayTests",
        [
            "SeededRandom", "Gateway", "GatewayTestSupport", "ClientTestSupport",
            "AllocationCounter", "StoreTestSupport", "TestKit", "EngineIO", "Dialects",
            "ConversationsDialect", "RoomsDialect", "DialectKit", "ChatEngine", "Cluster",
            "ChatCore", "ChatModel", "Configuration", "EventLoop", "HTTPWire", "Identity",
            "JSON", "TLS", "Telemetry", "Bytes",
        ]),

    // Dialects: each alone, and one scenario for all of them.
    tests("DialectKitTests", ["DialectKit", "ChatModel", "Identity", "JSON", "Bytes"]),
    testSupport("DialectTestSupport", dialectPort),
    dialectTests(
        "ConversationsDialect", ["Configuration", "Gateway", "GatewayTestSupport", "TestKit"]),
    dialectTests("PetsDialect"),
    dialectTests("AgentsDialect"),
    dialectTests("RoomsDialect", ["EngineIO", "SocketIO"]),
    dialectTests("ChatsDialect"),
    // A sixth dialect: its server, its client and its frames for the load generator.
    testSupport(
        "ExampleDialect",
        [
            "DialectKit", "ChatModel", "ConfabClient", "LoadGenerator", "Identity", "JSON",
            "Bytes",
        ]),
    tests(
        "ExampleDialectTests",
        [
            "ExampleDialect", "Dialects", "ChatTerminal", "ConfabClient", "LoadGenerator",
            "Configuration",
            "Gateway", "GatewayTestSupport", "TestKit", "DialectKit", "Identity",
        ]),
    tests(
        "DialectContractTests",
        [
            "ChatSimulation", "ExampleDialect", "Dialects", "ConversationsDialect",
            "PetsDialect", "ChatsDialect", "AgentsDialect", "RoomsDialect", "EmbeddedStore",
            "ConfabClient", "LoadGenerator", "Configuration", "DialectKit", "ChatEngine",
            "Cluster", "ChatCore", "ChatModel", "Identity", "JSON", "Bytes",
        ]),
    tests(
        "OperatorClientTests",
        [
            "OperatorClient", "TerminalKit", "Configuration", "NodeLink", "RedisClient",
            "ClusterWire", "Cluster", "ChatModel", "TestKit", "JSON", "Bytes",
        ]),
    tests(
        "NodeLinkTests",
        [
            "NodeLink", "ClusterWire", "ChatEngine", "Cluster", "ChatModel", "RedisClient",
            "RedisStore", "EventLoop", "Telemetry", "TestKit", "JSON", "Bytes",
        ]),
    tests(
        "AdminAPITests",
        [
            "ChatModel", "AdminAPI", "Configuration", "Gateway", "GatewayTestSupport", "Stores",
            "ExampleStore", "TestKit", "EventLoop", "HTTPWire", "JSON", "NodeLink", "Cluster",
            "ClusterWire", "ChatEngine", "Telemetry", "Bytes",
        ]),

    tests(
        "RoomsAPITests",
        [
            "SeededRandom", "RoomsAPI", "RoomsDialect", "Gateway", "GatewayTestSupport",
            "TestKit", "DialectKit", "PetsDialect", "ConversationsDialect", "ChatModel",
            "Configuration", "EventLoop", "HTTPWire", "Identity", "JSON", "Bytes",
        ]),

    tests(
        "WebhooksTests",
        [
            "SeededRandom", "Webhooks", "Configuration", "EmbeddedStore", "StoreTestSupport",
            "TestKit", "HTTPWire", "EventLoop", "ChatModel", "Telemetry", "JSON", "Bytes",
        ]),

    tests("PagesTests", ["Pages", "Gateway", "EventLoop", "HTTPWire"]),

    // Real processes.
    testSupport("TestKit", ["CLinux", "Identity", "Bytes"]),
    .target(name: "TestWidth", path: "Tests/TestWidth"),
    testSupport("TestTraits", ["TestKit", "TestWidth"]),
    tests("TestTraitsTests", ["TestKit", "TestWidth"]),
    .testTarget(
        name: "SystemTests",
        dependencies: [
            "SeededRandom", "ClusterTorture", "ClientDriver", "ClientSample", "ConfabClient",
            "TestKit", "TestTraits", "Dialects", "Configuration",
        ],
        exclude: ["Clients"],
        swiftSettings: settings),
    tests("DocumentationTests", ["TestKit", "Dialects", "Stores", "Configuration", "JSON"]),

    // A cluster of real processes, its faults, and the judge of its clients' histories.
    testSupport("ClusterTorture", ["SeededRandom", "TestKit"]),
    testProgram("Torture", ["ClusterTorture", "ClientDriver", "TestKit"]),
    // A client of ConfabClient with commands on stdin, and the bot of docs/clients/swift.md.
    testProgram("ClientDriver", ["ConfabClient", "JSON"]),
    testProgram("ClientSample", ["ConfabClient"]),
    tests("ClusterTortureTests", ["ClusterTorture", "TestKit"]),

    // A WebSocket server whose behaviour a test writes.
    testSupport("ClientTestSupport", ["EventLoop", "HTTPWire", "TLS", "Bytes"]),
    tests(
        "ConfabClientTests",
        [
            "SeededRandom", "ConfabClient", "ClientTestSupport", "TestKit", "EventLoop",
            "HTTPWire", "TLS", "JSON", "Bytes",
        ]),
    tests(
        "ChatTerminalTests",
        [
            "SeededRandom", "Dialects", "ChatTerminal", "TerminalKit", "ConfabClient",
            "ClientTestSupport", "TestKit", "EventLoop", "HTTPWire", "JSON", "Bytes",
        ]),
    tests(
        "LoadGeneratorTests",
        [
            "LoadGenerator", "Dialects", "Configuration", "ClientTestSupport", "TestKit",
            "ConfabClient", "RedisClient", "Identity", "EventLoop", "HTTPWire", "TLS",
            "Telemetry", "JSON", "Bytes",
        ]),
]

let package = Package(
    name: "confab",
    products: [
        .executable(name: "confab", targets: ["confab"]),
        .library(name: "ConfabClient", targets: ["ConfabClient"]),
    ],
    targets: base + net + chat + stores + protocols + node + tools + program + testTargets)

// CONFAB_TARGETS=ChatCoreTests,StoreContractTests keeps only these targets and what they need, so
// that a change of a low module does not compile the whole package. Use a folder of its own:
// CONFAB_TARGETS=ChatCoreTests swift test --scratch-path .build/some
if let names = Context.environment["CONFAB_TARGETS"] {
    var needed: Set<String> = []
    var pending = names.split(separator: ",").map(String.init)
    while let name = pending.popLast() {
        guard needed.insert(name).inserted,
            let target = package.targets.first(where: { $0.name == name })
        else { continue }
        for case .byNameItem(let name, _) in target.dependencies { pending.append(name) }
    }
    package.targets.removeAll { !needed.contains($0.name) }
    package.products = []
}
