import Foundation
import TestKit

/// A StoreTorture process.
final class TortureProcess {
    private let process: ChildProcess
    private var lineCount = 0

    init(_ mode: String, _ path: String) throws {
        // The program is in the folder of the test runner.
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = URL(filePath: own).deletingLastPathComponent().appending(path: "StoreTorture")
            .path
        self.process = try ChildProcess(program, [mode, path])
    }

    deinit {
        self.process.kill()
    }

    /// The next line of its output; nil after the process has ended and all lines are read.
    func line() throws -> String? {
        defer { self.lineCount += 1 }
        return try self.process.output.lineOrEnd(at: self.lineCount)
    }

    /// Kills the process. Unlike a power failure, this does not lose the disk's cache.
    func kill() throws {
        self.process.kill()
        try self.process.waitForExit()
    }

    func closeInput() throws {
        self.process.closeInput()
        try self.process.waitForExit()
    }
}
