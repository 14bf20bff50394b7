import Foundation
import TestKit

/// A StoreTorture process of a test's.
final class TortureProcess {
    private let process: ChildProcess
    private var lineCount = 0

    init(_ act: String, _ path: String) throws {
        // Beside the program that runs the tests.
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = URL(filePath: own).deletingLastPathComponent().appending(path: "StoreTorture")
            .path
        self.process = try ChildProcess(program, [act, path])
    }

    deinit {
        self.process.kill()
    }

    /// The next whole line it said; nil once it is gone and everything is read.
    func line() throws -> String? {
        defer { self.lineCount += 1 }
        return try self.process.output.lineOrEnd(at: self.lineCount)
    }

    /// Ends it as a power cut would, but for the disk's own memory.
    func kill() throws {
        self.process.kill()
        try self.process.waitForExit()
    }

    func closeInput() throws {
        self.process.closeInput()
        try self.process.waitForExit()
    }
}
