import Configuration

/// `confab bench`: the load generator.
enum BenchCommand {
    static func run(_ options: BenchOptions) async -> Int32 {
        Program.complain("confab: bench is not part of this build")
        return 1
    }
}
