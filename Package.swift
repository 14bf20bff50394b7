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
    // Halves the cost of generic code that crosses a module boundary.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

let package = Package(
    name: "confab",
    products: [.executable(name: "confab", targets: ["confab"])],
    targets: [
        // C libraries of Debian 12: module maps only.
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "COpenSSL"),
        .systemLibrary(name: "CZlib"),
        .systemLibrary(name: "CSQLite"),
        .systemLibrary(name: "CHiredis"),
        .systemLibrary(name: "CURing"),
        // One processor instruction.
        .systemLibrary(name: "CPrefetch"),

        // Base: bytes, JSON, logs and metrics.
        module("Bytes", ["CPrefetch"]),
        module("JSON", ["Bytes"]),
        module("Telemetry", ["Bytes", "JSON"]),

        // Sockets and wire formats. Only EventLoop uses epoll and io_uring; HTTPWire has none.
        module("EventLoop", ["CLinux", "CURing", "Bytes"]),
        module("HTTPWire", ["CZlib", "COpenSSL", "Bytes"]),
        module("EngineIO", ["JSON", "Bytes"]),
        module("SocketIO", ["JSON", "Bytes"]),
        module("TLS", ["COpenSSL", "EventLoop", "Bytes"]),
        module("Identity", ["COpenSSL", "Bytes", "JSON"]),
        module("RedisClient", ["CHiredis", "COpenSSL", "EventLoop", "TLS", "Bytes"]),

        // The chat: values.
        module("ChatModel", ["Bytes"]),
        module("ChatCore", ["ChatModel", "Bytes"]),
        module("Cluster", ["ChatModel", "Bytes"]),
        module("ChatEngine", ["Cluster", "ChatCore", "ChatModel", "Bytes"]),
        module(
            "ClusterWire",
            ["ChatEngine", "Cluster", "ChatCore", "ChatModel", "Identity", "JSON", "Bytes"]),
        module("RedisStore", ["RedisClient", "EventLoop", "ChatModel", "Bytes"]),
        module("EmbeddedStore", ["CSQLite", "ChatModel", "Telemetry", "Bytes"]),

        // Dialects only translate.
        module("DialectKit", ["EngineIO", "ChatModel", "Identity", "JSON", "Bytes"]),
        module("ConversationsDialect", ["DialectKit", "ChatModel", "Identity", "JSON", "Bytes"]),
        module("PetsDialect", ["DialectKit", "ChatModel", "Identity", "JSON", "Bytes"]),
        module("ChatsDialect", ["DialectKit", "ChatModel", "Identity", "JSON", "Bytes"]),
        module("AgentsDialect", ["DialectKit", "ChatModel", "Identity", "JSON", "Bytes"]),
        module(
            "RoomsDialect",
            ["EngineIO", "SocketIO", "DialectKit", "ChatModel", "Identity", "JSON", "Bytes"]),

        // A node's membership in the cluster.
        module(
            "NodeLink",
            [
                "RedisStore", "RedisClient", "ClusterWire", "ChatEngine", "Cluster", "ChatModel",
                "EventLoop",
                "Telemetry", "JSON", "Bytes",
            ]),

        // Shells: the server, the clients, the command line.
        module(
            "Gateway",
            [
                "EngineIO", "EventLoop", "HTTPWire", "TLS", "Identity", "ChatEngine", "Cluster",
                "ChatCore",
                "ChatModel", "Configuration", "DialectKit",
                "Telemetry",
                "JSON", "Bytes",
            ]),
        module(
            "AdminAPI",
            [
                "COpenSSL", "Gateway", "NodeLink", "ClusterWire", "ChatEngine", "Cluster",
                "ChatCore",
                "ChatModel", "EventLoop", "HTTPWire", "Telemetry",
                "JSON",
                "Bytes",
            ]),
        module(
            "RoomsAPI",
            [
                "RoomsDialect", "Gateway", "DialectKit", "EventLoop", "ChatModel", "Identity",
                "HTTPWire", "JSON", "Bytes",
            ]),
        module(
            "ChatClient",
            ["EngineIO", "SocketIO", "EventLoop", "HTTPWire", "TLS", "Telemetry", "JSON", "Bytes"]),
        module(
            "OperatorClient",
            [
                "NodeLink", "Configuration", "RedisClient", "ClusterWire", "ChatEngine", "Cluster",
                "ChatModel",
                "Telemetry", "JSON", "Bytes",
            ]),
        module(
            "LoadGenerator",
            [
                "Configuration", "TLS", "CHiredis", "ChatClient", "EngineIO", "RedisClient",
                "Identity", "EventLoop", "HTTPWire", "Telemetry", "JSON", "Bytes",
            ]),
        module("Configuration", ["RedisClient", "Telemetry", "JSON", "Bytes"]),

        // The list of dialects, for the server, the clients and the tests.
        module(
            "Dialects",
            [
                "ConversationsDialect", "PetsDialect", "ChatsDialect", "RoomsDialect",
                "AgentsDialect", "ChatClient", "LoadGenerator", "Configuration", "DialectKit",
                "EngineIO",
            ]),
        .executableTarget(
            name: "confab",
            dependencies: [
                "Dialects", "AdminAPI", "ChatClient", "ClusterWire", "Configuration",
                "EmbeddedStore", "Gateway", "Identity", "LoadGenerator", "NodeLink",
                "OperatorClient", "RedisClient", "RedisStore", "RoomsAPI", "Telemetry", "TLS",
                "EventLoop", "ChatModel", "ChatEngine", "Cluster", "DialectKit", "JSON", "Bytes",
            ],
            swiftSettings: settings),

        tests("BytesTests", ["SeededRandom", "Bytes"]),
        tests("JSONTests", ["SeededRandom", "JSON", "Bytes"]),
        tests("TelemetryTests", ["TestKit", "Telemetry", "JSON", "Bytes"]),
        tests("EventLoopTests", ["SeededRandom", "EventLoop", "Bytes"]),
        tests("HTTPWireTests", ["SeededRandom", "HTTPWire", "Bytes"]),
        tests("EngineIOTests", ["SeededRandom", "EngineIO", "JSON", "Bytes"]),
        tests("SocketIOTests", ["SeededRandom", "SocketIO", "JSON", "Bytes"]),
        tests("TLSTests", ["TLS", "TestKit", "Bytes"]),
        tests(
            "RedisClientTests",
            ["SeededRandom", "RedisClient", "CHiredis", "TestKit", "EventLoop", "TLS", "Bytes"]),
        tests("IdentityTests", ["SeededRandom", "Identity", "TestKit", "JSON", "Bytes"]),
        tests("ChatModelTests", ["SeededRandom", "ChatModel", "Bytes"]),
        tests(
            "ChatCoreTests", ["SeededRandom", "ChatSimulation", "ChatCore", "ChatModel", "Bytes"]),
        tests("ClusterTests", ["SeededRandom", "Cluster", "ChatCore", "ChatModel", "Bytes"]),
        tests(
            "ChatEngineTests",
            [
                "SeededRandom", "ChatSimulation", "EmbeddedStore", "ChatEngine", "Cluster",
                "ChatCore",
                "ChatModel", "Bytes",
            ]),
        tests(
            "ClusterWireTests",
            [
                "SeededRandom", "AllocationCounter", "ClusterWire", "ChatEngine", "Cluster",
                "ChatCore",
                "ChatModel", "Identity", "JSON", "Bytes",
            ]),
        tests(
            "ConfigurationTests",
            ["Dialects", "Configuration", "RedisClient", "TestKit", "Telemetry", "JSON", "Bytes"]),

        // Random numbers that a seed reproduces.
        .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: settings),

        // The simulation of a cluster under its own clock, and the cost of a message.
        .target(
            name: "ChatSimulation",
            dependencies: [
                "SeededRandom", "EmbeddedStore", "ChatEngine", "Cluster", "ChatCore", "ChatModel",
                "Bytes",
            ],
            path: "Tests/ChatSimulation",
            swiftSettings: settings),
        .executableTarget(
            name: "ChatTrials",
            dependencies: [
                "SeededRandom", "AllocationCounter", "ChatSimulation", "EmbeddedStore",
                "ClusterWire", "ChatEngine", "Cluster", "ChatCore",
                "ChatModel", "Bytes",
            ],
            path: "Tests/ChatTrials",
            swiftSettings: settings),

        // Stores: one contract for all of them. StoreTorture is a process that tests may kill.
        .target(
            name: "StoreTestSupport",
            dependencies: ["SeededRandom", "TestKit", "ChatModel", "Bytes"],
            path: "Tests/StoreTestSupport",
            swiftSettings: settings),
        .executableTarget(
            name: "StoreTorture",
            dependencies: ["EmbeddedStore", "StoreTestSupport", "ChatModel", "Bytes"],
            path: "Tests/StoreTorture",
            swiftSettings: settings),
        tests(
            "StoreContractTests",
            [
                "EmbeddedStore", "RedisStore", "RedisClient", "StoreTestSupport", "TestKit",
                "EventLoop", "ChatModel", "Bytes",
            ]),
        tests(
            "EmbeddedStoreTests",
            [
                "Telemetry", "SeededRandom", "EmbeddedStore", "StoreTestSupport", "StoreTorture",
                "TestKit",
                "ChatModel", "Bytes", "Telemetry",
            ]),

        // A node in the test's process. AllocationCounter counts the test binary's allocations.
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        .target(
            name: "GatewayTestSupport",
            dependencies: [
                "SeededRandom", "ConversationsDialect", "DialectKit", "EmbeddedStore", "Gateway",
                "ChatModel", "Configuration",
                "EventLoop", "HTTPWire",
                "Identity", "StoreTestSupport", "TLS", "Telemetry", "TestKit", "Bytes",
            ], path: "Tests/GatewayTestSupport", swiftSettings: settings),
        tests(
            "GatewayTests",
            [
                "SeededRandom", "Gateway", "GatewayTestSupport", "ClientTestSupport",
                "AllocationCounter", "StoreTestSupport",
                "TestKit", "EngineIO", "Dialects",
                "ConversationsDialect", "RoomsDialect", "DialectKit", "ChatEngine", "Cluster",
                "ChatCore",
                "ChatModel", "Configuration", "EventLoop", "HTTPWire", "Identity", "JSON", "TLS",
                "Telemetry", "Bytes",
            ]),

        // Dialects: each alone, and one scenario for all of them.
        tests("DialectKitTests", ["DialectKit", "ChatModel", "Identity", "JSON", "Bytes"]),
        .target(
            name: "DialectTestSupport",
            dependencies: ["DialectKit", "ChatModel", "Identity", "JSON", "Bytes"],
            path: "Tests/DialectTestSupport", swiftSettings: settings),
        tests(
            "ConversationsDialectTests",
            [
                "Configuration", "Gateway", "ConversationsDialect", "DialectTestSupport",
                "GatewayTestSupport", "TestKit",
                "DialectKit", "ChatModel", "Identity",
                "JSON",
                "Bytes",
            ]),
        tests(
            "PetsDialectTests",
            [
                "PetsDialect", "DialectTestSupport", "DialectKit", "ChatModel", "Identity", "JSON",
                "Bytes",
            ]),
        tests(
            "AgentsDialectTests",
            [
                "AgentsDialect", "DialectTestSupport", "DialectKit", "ChatModel", "Identity",
                "JSON", "Bytes",
            ]),
        tests(
            "RoomsDialectTests",
            [
                "RoomsDialect", "DialectTestSupport", "EngineIO", "SocketIO", "DialectKit",
                "ChatModel", "Identity", "JSON", "Bytes",
            ]),
        tests(
            "ChatsDialectTests",
            [
                "ChatsDialect", "DialectTestSupport", "DialectKit", "ChatModel", "Identity", "JSON",
                "Bytes",
            ]),
        // A sixth dialect: its server, its client and its frames for the load generator.
        .target(
            name: "ExampleDialect",
            dependencies: [
                "DialectKit", "ChatModel", "ChatClient", "LoadGenerator", "Identity", "JSON",
                "Bytes",
            ],
            path: "Tests/ExampleDialect", swiftSettings: settings),
        tests(
            "ExampleDialectTests",
            [
                "ExampleDialect", "Dialects", "ChatClient", "LoadGenerator", "Configuration",
                "Gateway", "GatewayTestSupport", "TestKit", "DialectKit", "Identity",
            ]),
        tests(
            "DialectContractTests",
            [
                "ChatSimulation", "ExampleDialect", "Dialects", "ConversationsDialect",
                "PetsDialect",
                "ChatsDialect", "AgentsDialect", "RoomsDialect", "EmbeddedStore", "ChatClient",
                "LoadGenerator", "Configuration", "DialectKit",
                "ChatEngine", "Cluster", "ChatCore", "ChatModel", "Identity", "JSON",
                "Bytes",
            ]),
        tests(
            "OperatorClientTests",
            [
                "OperatorClient", "Configuration", "NodeLink", "RedisClient", "ClusterWire",
                "Cluster", "ChatModel", "TestKit", "JSON", "Bytes",
            ]),
        tests(
            "NodeLinkTests",
            [
                "NodeLink", "ClusterWire", "ChatEngine", "Cluster", "ChatModel", "RedisClient",
                "EventLoop", "TestKit", "Bytes",
            ]),
        tests(
            "AdminAPITests",
            [
                "ChatModel", "AdminAPI", "Gateway", "GatewayTestSupport", "TestKit", "EventLoop",
                "HTTPWire", "JSON", "NodeLink", "ClusterWire",
                "Telemetry", "Bytes",
            ]),

        tests(
            "RoomsAPITests",
            [
                "SeededRandom", "RoomsAPI", "RoomsDialect", "Gateway", "GatewayTestSupport",
                "TestKit", "DialectKit", "PetsDialect",
                "ConversationsDialect", "ChatModel", "Configuration", "EventLoop", "HTTPWire",
                "Identity", "JSON", "Bytes",
            ]),

        // Real processes.
        .target(
            name: "TestKit", dependencies: ["CLinux", "Identity", "Bytes"], path: "Tests/TestKit",
            swiftSettings: settings),
        .testTarget(
            name: "SystemTests",
            dependencies: [
                "SeededRandom", "ClusterTorture", "TestKit", "Dialects", "Configuration",
            ],
            exclude: ["Clients"],
            swiftSettings: settings),
        tests("DocumentationTests", ["TestKit", "Dialects", "Configuration"]),

        // A cluster of real processes, its faults, and the judge of its clients' histories.
        .target(
            name: "ClusterTorture", dependencies: ["SeededRandom", "TestKit"],
            path: "Tests/ClusterTorture", swiftSettings: settings),
        .executableTarget(
            name: "Torture", dependencies: ["ClusterTorture", "TestKit"], path: "Tests/Torture",
            swiftSettings: settings),
        tests("ClusterTortureTests", ["ClusterTorture", "TestKit"]),

        // A WebSocket server whose behaviour a test writes.
        .target(
            name: "ClientTestSupport", dependencies: ["EventLoop", "HTTPWire", "TLS", "Bytes"],
            path: "Tests/ClientTestSupport",
            swiftSettings: settings),
        tests(
            "ChatClientTests",
            [
                "SeededRandom", "Dialects", "ChatClient", "ClientTestSupport", "TestKit",
                "EventLoop",
                "HTTPWire", "TLS", "JSON", "Bytes",
            ]),
        tests(
            "LoadGeneratorTests",
            [
                "LoadGenerator", "Dialects", "Configuration", "ClientTestSupport", "TestKit",
                "ChatClient",
                "RedisClient",
                "Identity", "EventLoop", "HTTPWire", "TLS",
                "Telemetry",
                "JSON", "Bytes",
            ]),
    ]
)
