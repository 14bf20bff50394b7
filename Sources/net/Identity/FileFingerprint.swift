internal import Glibc

/// Metadata that shows whether a file has changed, without reading it.
public struct FileFingerprint: Sendable, Equatable {
    private let device: UInt64
    private let inode: UInt64
    private let bytes: Int64
    private let modifiedSeconds: Int
    private let modifiedNanoseconds: Int

    /// Returns nil if the file does not exist. Follows symbolic links, so a link with a new target
    /// counts as a change.
    public init?(path: String) {
        var found = stat()
        guard stat(path, &found) == 0 else { return nil }
        self.device = UInt64(found.st_dev)
        self.inode = UInt64(found.st_ino)
        self.bytes = Int64(found.st_size)
        self.modifiedSeconds = found.st_mtim.tv_sec
        self.modifiedNanoseconds = found.st_mtim.tv_nsec
    }
}
