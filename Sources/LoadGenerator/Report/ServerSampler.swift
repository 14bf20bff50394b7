import EventLoop
internal import Glibc
import Telemetry

/// What a server has used so far, and what this process has.
struct UsageSample: Sendable {
    var at: MonotonicTime
    /// User and system time of this process.
    var generatorCPU: Duration
    var server: ServerSample?
    /// What Redis had been asked.
    var redis: CommandSample?
}

/// What the server's processes have used; all but `processCPU` is the sum of them.
struct ServerSample: Sendable {
    /// User and system time of the processes and all their descendants. The kernel counts it in ticks of 10 ms.
    var cpu: Duration
    /// Of each process, in the order of the options.
    var processCPU: [Duration]
    var residentBytes: UInt64
    var peakResidentBytes: UInt64
    /// Nil where the kernel does not tell.
    var proportionalBytes: UInt64?
    var threadCount: Int
}

/// Reads a server's CPU time and memory at the edges of the phases, because only the run itself knows where these are.
struct ServerSampler {
    let processes: [Int32]
    let counter: CommandCounter?

    /// - Parameter withMemory: whether to ask for the shared part of their memory too, for which the kernel walks all of it.
    func sample(withMemory: Bool) -> UsageSample {
        var own = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own)
        return UsageSample(
            at: .exact, generatorCPU: .seconds(own.tv_sec) + .nanoseconds(own.tv_nsec),
            server: self.server(withMemory), redis: self.counter?.sample())
    }

    /// Nil when one of the processes is gone: a part of the server is none.
    private func server(_ withMemory: Bool) -> ServerSample? {
        guard !self.processes.isEmpty else { return nil }
        var sample = ServerSample(
            cpu: .zero, processCPU: [], residentBytes: 0, peakResidentBytes: 0,
            proportionalBytes: withMemory ? 0 : nil, threadCount: 0)
        // All CPU times first, so that nothing lies between them.
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
