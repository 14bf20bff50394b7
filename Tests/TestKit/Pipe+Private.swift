public import Foundation

extension Pipe {
    /// A pipe that no process inherits but the one that is given an end of it. `Pipe()` goes along into every process that a test beside
    /// this one starts, and whoever reads to the end then waits for the end of all of those.
    public static func ofThisProcess() -> Pipe {
        let pipe = Pipe()
        for end in [pipe.fileHandleForReading, pipe.fileHandleForWriting] { _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC) }
        return pipe
    }
}
