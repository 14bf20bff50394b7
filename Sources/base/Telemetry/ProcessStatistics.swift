internal import Glibc

/// The resources that a process uses, from `/proc` (proc(5)).
public struct ProcessStatistics: Sendable, Equatable {
    /// User and system time of all threads.
    public var cpuTime: Duration
    /// User and system time of children that have ended and were waited for.
    public var reapedChildrenCPUTime: Duration
    /// The start time of the process, in seconds since 1970.
    public var startTime: Double
    public var threadCount: Int
    public var virtualBytes: UInt64
    /// Resident memory (RSS).
    public var residentBytes: UInt64
    /// The maximum resident memory so far (VmHWM).
    public var peakResidentBytes: UInt64
    /// Resident memory, with shared pages divided by the number of processes that share them (PSS).
    /// Nil if it was not requested or the kernel does not report it.
    public var proportionalBytes: UInt64?
    /// The number of open file descriptors. Nil for a process of another user.
    public var openDescriptorCount: Int?
    /// The maximum number of open file descriptors. Nil if there is no limit.
    public var descriptorLimit: UInt64?

    /// Returns nil if there is no such process.
    ///
    /// - Parameters:
    ///   - process: the process id, by default that of this process.
    ///   - includingPSS: whether to read the PSS. The kernel then walks all pages, which takes
    ///     milliseconds for gigabytes.
    public init?(of process: Int32? = nil, includingPSS: Bool = false) {
        let folder = "/proc/\(process.map(String.init) ?? "self")"
        guard let stat = ProcessStat(folder: folder), let status = ProcFS.text("\(folder)/status")
        else { return nil }
        let pageBytes = UInt64(sysconf(Int32(_SC_PAGESIZE)))
        self.cpuTime = stat.cpuTime
        self.reapedChildrenCPUTime = stat.reapedChildrenCPUTime
        self.startTime = ProcFS.bootTime + Double(stat.startTicks) / Double(ProcFS.ticksPerSecond)
        self.threadCount = stat.threadCount
        self.virtualBytes = stat.virtualBytes
        self.residentBytes = stat.residentPages * pageBytes
        self.peakResidentBytes = max(
            ProcFS.lineByteCount("VmHWM:", in: status) ?? 0, self.residentBytes)
        self.proportionalBytes =
            includingPSS
            ? ProcFS.text("\(folder)/smaps_rollup").flatMap { ProcFS.lineByteCount("Pss:", in: $0) }
            : nil
        self.openDescriptorCount = ProcFS.fileNames(in: "\(folder)/fd")?.count
        self.descriptorLimit = ProcFS.text("\(folder)/limits").flatMap { limits in
            // "Max open files 1024 1048576 files": the first number is the soft limit.
            ProcFS.lineValue("Max open files", in: limits).flatMap {
                $0.split(separator: " ").first.flatMap { UInt64($0) }
            }
        }
    }

    /// User and system time of a process and all its descendants, including ended ones. Nil if
    /// there is no such process.
    public static func treeCPUTime(of root: Int32) -> Duration? {
        var stats: [Int32: ProcessStat] = [:]
        for entry in ProcFS.fileNames(in: "/proc") ?? [] {
            if let process = Int32(entry), let stat = ProcessStat(folder: "/proc/\(process)") {
                stats[process] = stat
            }
        }
        guard stats[root] != nil else { return nil }
        let children = Dictionary(grouping: stats.keys) { stats[$0]?.parent ?? 0 }
        var total = Duration.zero
        var waiting = [root]
        while let process = waiting.popLast() {
            guard let stat = stats.removeValue(forKey: process) else { continue }
            total += stat.cpuTime + stat.reapedChildrenCPUTime
            waiting += children[process] ?? []
        }
        return total
    }

    /// Adds the metrics that all Prometheus client libraries publish under these names.
    public func add(to snapshot: inout MetricsSnapshot) {
        snapshot.add(self.cpuTime / .seconds(1), to: .processCPU)
        snapshot.add(self.residentBytes, to: .processResidentMemory)
        snapshot.add(self.virtualBytes, to: .processVirtualMemory)
        snapshot.add(self.startTime, to: .processStartTime)
        if let count = self.openDescriptorCount { snapshot.add(count, to: .processOpenDescriptors) }
        if let limit = self.descriptorLimit { snapshot.add(limit, to: .processDescriptorLimit) }
    }
}

extension MetricFamily {
    static let processCPU = MetricFamily(
        "process_cpu_seconds_total", .counter,
        help: "Total user and system CPU time spent in seconds.")
    static let processResidentMemory = MetricFamily(
        "process_resident_memory_bytes", .gauge, help: "Resident memory size in bytes.")
    static let processVirtualMemory = MetricFamily(
        "process_virtual_memory_bytes", .gauge, help: "Virtual memory size in bytes.")
    static let processStartTime = MetricFamily(
        "process_start_time_seconds", .gauge,
        help: "Start time of the process since unix epoch in seconds.")
    static let processOpenDescriptors = MetricFamily(
        "process_open_fds", .gauge, help: "Number of open file descriptors.")
    static let processDescriptorLimit = MetricFamily(
        "process_max_fds", .gauge, help: "Maximum number of open file descriptors.")
}
