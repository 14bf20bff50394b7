import Configuration
import LoadGenerator

/// `confab bench`: the load generator.
enum BenchCommand {
    static func run(_ options: BenchOptions) async -> Int32 {
        var benchOptions = BenchmarkOptions(Self.scenario(options.scenario), urls: options.urls)
        benchOptions.connections = options.connections
        benchOptions.groups = options.groups
        benchOptions.publishers = options.publishers
        benchOptions.rate = options.rate
        benchOptions.window = options.window
        benchOptions.duration = options.duration
        benchOptions.warmup = options.warmup
        benchOptions.settle = options.settle
        benchOptions.concurrency = options.concurrency
        benchOptions.messageBytes = options.messageBytes
        benchOptions.secretFile = options.secretFile
        benchOptions.serverProcesses = options.serverProcesses.map { Int32($0) }
        benchOptions.redis = options.redis
        benchOptions.authorities = options.authorities
        benchOptions.adapter = Self.adapter(options.adapter)
        benchOptions.output = options.output == .json ? .json : .text
        return Benchmark.run(
            benchOptions, write: { Program.write($0) },
            printError: { Program.printError("confab: \($0)") })
    }

    private static func adapter(_ adapter: BenchOptions.BenchAdapter) -> BenchmarkOptions.Adapter {
        switch adapter {
        case .confab: .confab
        case .pets: .pets
        case .chats: .chats
        case .rooms: .rooms
        case .agents: .agents
        case .roomsPolling: .roomsPolling
        case .mixed: .mixed
        case .raw: .raw
        }
    }

    private static func scenario(_ scenario: BenchOptions.BenchScenario)
        -> BenchmarkOptions.Scenario
    {
        switch scenario {
        case .broadcast: .broadcast
        case .groups: .groups
        case .idle: .idle
        case .connect: .connect
        case .send: .send
        }
    }
}
