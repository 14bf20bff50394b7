import Foundation
import TestKit

/// A StoreTorture process of a test's.
final class TortureProcess {
    private let process = Process()
    private let output = Pipe.ofThisProcess()
    private let input = Pipe.ofThisProcess()
    private var unread = Data()

    init(_ act: String, _ path: String) throws {
        // Beside the program that runs the tests.
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        self.process.executableURL = URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("StoreTorture")
        self.process.arguments = [act, path]
        self.process.standardOutput = self.output
        self.process.standardInput = self.input
        try self.process.run()
        try self.output.fileHandleForWriting.close()
    }

    deinit {
        self.kill()
    }

    /// The next whole line it said; nil once it is gone and everything is read.
    func line() -> String? {
        while true {
            if let end = self.unread.firstIndex(of: 10) {
                let line = String(decoding: self.unread[..<end], as: UTF8.self)
                self.unread = self.unread[(end + 1)...]
                return line
            }
            let more = self.output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            self.unread.append(more)
        }
    }

    /// Ends it as a power cut would, but for the disk's own memory.
    func kill() {
        guard self.process.isRunning else { return }
        Foundation.kill(self.process.processIdentifier, SIGKILL)
        self.process.waitUntilExit()
    }

    func closeInput() throws {
        try self.input.fileHandleForWriting.close()
        self.process.waitUntilExit()
    }
}
