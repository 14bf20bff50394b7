import Configuration
import Dialects
import LoadGenerator

/// `confab bench`: the load generator.
enum BenchCommand {
    static func run(_ options: BenchOptions) async -> Int32 {
        Benchmark.run(
            options, adapters: DialectList.all.loadAdapters, write: { Program.write($0) },
            printError: { Program.printError("confab: \($0)") })
    }
}
