import Configuration
import LoadGenerator

/// `confab bench`: the load generator.
enum BenchCommand {
    static func run(_ options: BenchOptions) async -> Int32 {
        var wanted = BenchmarkOptions(Self.scenario(options.scenario), urls: options.urls)
        wanted.connections = options.connections
        wanted.groups = options.groups
        wanted.publishers = options.publishers
        wanted.rate = options.rate
        wanted.window = options.window
        wanted.duration = options.duration
        wanted.warmup = options.warmup
        wanted.settle = options.settle
        wanted.concurrency = options.concurrency
        wanted.messageBytes = options.messageBytes
        wanted.secretFile = options.secretFile
        wanted.serverProcesses = options.serverProcesses.map { Int32($0) }
        wanted.redis = options.redis
        wanted.authorities = options.authorities
        wanted.adapter = Self.adapter(options.adapter)
        wanted.output = options.output == .json ? .json : .text
        return Benchmark.run(
            wanted, write: { Program.write($0) },
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
