internal import CLinux
public import Foundation

/// A pipe that no process inherits but the one that is given an end of it. A pipe of Foundation's goes along into every process that is
/// started beside this one, and whoever reads to the end then waits for the end of all of those. So does a `Process` of Foundation's, for
/// the socket by which it hears of an end: tests start theirs by `ChildProcess`.
public struct PrivatePipe: Sendable {
    public let reading: FileHandle
    public let writing: FileHandle

    public init() throws {
        let ends = try Self.descriptors()
        self.reading = FileHandle(fileDescriptor: ends.reading, closeOnDealloc: true)
        self.writing = FileHandle(fileDescriptor: ends.writing, closeOnDealloc: true)
    }

    /// The two ends, for somebody who closes them.
    static func descriptors() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard confab_pipe2(&ends, O_CLOEXEC) == 0 else {
            throw TestFailure("no pipe: errno \(errno)")
        }
        return (ends[0], ends[1])
    }
}
