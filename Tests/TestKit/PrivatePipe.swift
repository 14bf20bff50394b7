internal import CLinux
public import Foundation

/// A pipe that only the process that is given an end of it inherits.
///
/// Processes that are started concurrently inherit a pipe of Foundation. A reader then waits for
/// all of them to end before it sees the end of the pipe. Foundation's `Process` has the same
/// problem with its internal socket, so tests start processes with `ChildProcess`.
public struct PrivatePipe: Sendable {
    public let reading: FileHandle
    public let writing: FileHandle

    public init() throws {
        let ends = try Self.descriptors()
        self.reading = FileHandle(fileDescriptor: ends.reading, closeOnDealloc: true)
        self.writing = FileHandle(fileDescriptor: ends.writing, closeOnDealloc: true)
    }

    /// The descriptors of both ends. The caller closes them.
    static func descriptors() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard confab_pipe2(&ends, O_CLOEXEC) == 0 else {
            throw TestFailure("no pipe: errno \(errno)")
        }
        return (ends[0], ends[1])
    }
}
