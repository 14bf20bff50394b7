import Configuration
import LoadGenerator

/// `confab bench`: the load generator.
enum BenchCommand {
    static func run(_ options: BenchOptions) async -> Int32 {
        Benchmark.run(
            options, write: { Program.write($0) },
            printError: { Program.printError("confab: \($0)") })
    }
}
