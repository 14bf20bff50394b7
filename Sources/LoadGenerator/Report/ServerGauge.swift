import EventLoop
internal import Glibc
import Telemetry

/// What a server has used so far, and what this process has.
struct GaugeSample: Sendable {
    var at: MonotonicTime
    /// User and system time of this process.
    var generatorCPU: Duration
    var server: ServerSample?
}

struct ServerSample: Sendable {
    /// User and system time of the process and all its descendants. The kernel counts it in ticks of 10 ms.
    var cpu: Duration
    var residentBytes: UInt64
    var peakResidentBytes: UInt64
    /// Nil where the kernel does not tell.
    var proportionalBytes: UInt64?
    var threadCount: Int
}

/// Reads a server's CPU time and memory at the edges of the phases, because only the run itself knows where these are.
struct ServerGauge: Sendable {
    let process: Int32?

    /// - Parameter withMemory: whether to ask for the shared part of its memory too, for which the kernel walks all of it.
    func sample(withMemory: Bool) -> GaugeSample {
        var own = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own)
        return GaugeSample(
            at: .exact, generatorCPU: .seconds(own.tv_sec) + .nanoseconds(own.tv_nsec),
            server: self.process.flatMap { Self.server($0, withMemory) })
    }

    private static func server(_ process: Int32, _ withMemory: Bool) -> ServerSample? {
        guard let cpu = ProcessStatistics.treeCPUTime(of: process),
            let memory = ProcessStatistics(of: process, countsProportionally: withMemory)
        else { return nil }
        return ServerSample(
            cpu: cpu, residentBytes: memory.residentBytes, peakResidentBytes: memory.peakResidentBytes,
            proportionalBytes: memory.proportionalBytes, threadCount: memory.threadCount)
    }
}
