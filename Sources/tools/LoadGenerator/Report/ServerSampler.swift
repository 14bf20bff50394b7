import EventLoop
internal import Glibc
import Telemetry

/// The resources that the server and this process have used so far.
struct UsageSample: Sendable {
    var at: MonotonicTime
    /// User and system time of this process.
    var generatorCPU: Duration
    var server: ServerSample?
    /// The commands that Redis has executed.
    var redis: CommandSample?
}

/// The resources used by the server's processes; everything but `processCPU` is a sum.
struct ServerSample: Sendable {
    /// User and system time of the processes and all their descendants. The kernel counts it in
    /// ticks of 10 ms.
    var cpu: Duration
    /// Per process, in the order of the options.
    var processCPU: [Duration]
    var residentBytes: UInt64
    var peakResidentBytes: UInt64
    /// Nil where the kernel does not report it.
    var proportionalBytes: UInt64?
    var threadCount: Int
}

/// Samples a server's CPU time and memory between phases. The run itself does this, because only
/// the run knows the phases.
struct ServerSampler {
    let processes: [Int32]
    let counter: CommandCounter?

    /// - Parameter withMemory: whether to measure the proportional share of memory too. For that
    ///   the kernel walks all pages.
    func sample(withMemory: Bool) -> UsageSample {
        var own = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own)
        return UsageSample(
            at: .exact, generatorCPU: .seconds(own.tv_sec) + .nanoseconds(own.tv_nsec),
            server: self.server(withMemory), redis: self.counter?.sample())
    }

    /// Returns nil when one of the processes has ended, because a partial sum would be wrong.
    private func server(_ withMemory: Bool) -> ServerSample? {
        guard !self.processes.isEmpty else { return nil }
        var sample = ServerSample(
            cpu: .zero, processCPU: [], residentBytes: 0, peakResidentBytes: 0,
            proportionalBytes: withMemory ? 0 : nil, threadCount: 0)
        // All CPU times first, so that no time passes between them.
        for process in self.processes {
            guard let cpu = ProcessStatistics.treeCPUTime(of: process) else { return nil }
            sample.cpu += cpu
            sample.processCPU.append(cpu)
        }
        for process in self.processes {
            guard let memory = ProcessStatistics(of: process, includingPSS: withMemory) else {
                return nil
            }
            sample.residentBytes += memory.residentBytes
            sample.peakResidentBytes += memory.peakResidentBytes
            sample.proportionalBytes = sample.proportionalBytes.flatMap { sum in
                memory.proportionalBytes.map { sum + $0 }
            }
            sample.threadCount += memory.threadCount
        }
        return sample
    }
}
