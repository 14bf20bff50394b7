/// The memory that this process may use: that of its control group (cgroup v2), or else that of the
/// machine.
public struct MemoryLimits: Sendable, Equatable {
    public var limitBytes: UInt64
    /// The memory that can still be allocated without swapping.
    public var availableBytes: UInt64

    /// Nil if the kernel reports neither.
    public init?() {
        guard let machine = ProcFS.text("/proc/meminfo"),
            let total = ProcFS.lineByteCount("MemTotal:", in: machine),
            let available = ProcFS.lineByteCount("MemAvailable:", in: machine)
        else { return nil }
        self.limitBytes = total
        self.availableBytes = available
        // "0::/system.slice/confab.service"; the path of a container is often "/".
        let path =
            ProcFS.text("/proc/self/cgroup")?.split(separator: "\n").last.flatMap { line in
                line.hasPrefix("0::") ? String(line.dropFirst(3)) : nil
            } ?? "/"
        let folder = "/sys/fs/cgroup" + (path == "/" ? "" : path)
        // The file has the word "max" if there is no limit.
        guard let limit = Self.number("\(folder)/memory.max"), limit < total,
            let used = Self.number("\(folder)/memory.current")
        else { return }
        // The kernel frees file pages that were not used for a while before it refuses memory.
        let freeable =
            ProcFS.text("\(folder)/memory.stat").flatMap {
                ProcFS.lineValue("inactive_file", in: $0)
            }.flatMap { UInt64($0) } ?? 0
        let bound = used > freeable ? used - freeable : 0
        self.limitBytes = limit
        self.availableBytes = min(available, limit > bound ? limit - bound : 0)
    }

    private static func number(_ path: String) -> UInt64? {
        ProcFS.text(path).flatMap { text in UInt64(text.prefix { $0 != "\n" }) }
    }
}
