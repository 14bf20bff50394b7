import Foundation
import TestKit
import TestTraits
import Testing

@testable import Telemetry

@Suite("Process statistics", .ownThread)
struct ProcessStatisticsTests {
    @Test("of this process are plausible")
    func own() throws {
        var own = try #require(ProcessStatistics(includingPSS: true))
        // The kernel counts in units of 10 ms.
        for _ in 0..<1_000_000 where own.cpuTime == .zero {
            own.cpuTime = ProcessStatistics()?.cpuTime ?? .zero
        }
        #expect(own.cpuTime > .zero)
        #expect(own.residentBytes > 1 << 20)
        #expect(own.peakResidentBytes >= own.residentBytes)
        #expect(own.virtualBytes > own.residentBytes)
        #expect(own.proportionalBytes.map { $0 > 0 && $0 < own.virtualBytes } ?? true)
        #expect(own.threadCount >= 1)
        #expect(try #require(own.openDescriptorCount) >= 3)
        let now = Date().timeIntervalSince1970
        #expect(own.startTime < now + 1 && own.startTime > now - 86_400)
        var snapshot = MetricsSnapshot()
        own.add(to: &snapshot)
        #expect(snapshot.value(of: .processResidentMemory) == Double(own.residentBytes))
    }

    @Test("of another process are read by its id, and are nil after its end")
    func other() throws {
        let child = try ChildProcess("/bin/cat")
        // Its answer shows that the child has executed its program.
        try child.writeLine("hello")
        try child.output.line(with: "hello")
        let statistics = try #require(ProcessStatistics(of: child.id))
        #expect(statistics.residentBytes > 0)
        #expect(statistics.threadCount == 1)
        #expect(ProcessStatistics.treeCPUTime(of: child.id) != nil)
        let whole = try #require(
            ProcessStatistics.treeCPUTime(of: ProcessInfo.processInfo.processIdentifier))
        #expect(try #require(ProcessStatistics()).cpuTime >= .zero && whole > .zero)
        child.closeInput()
        try child.waitForExit()
        #expect(ProcessStatistics(of: child.id) == nil)
        #expect(ProcessStatistics.treeCPUTime(of: child.id) == nil)
    }

    @Test("accept a program's name with spaces and parentheses")
    func awkwardName() throws {
        let line =
            """
            42 (a) (b c) S 7 1 1 0 -1 4 1 2 3 4 150 50 20 10 20 0 5 0 900 4096000 250 \
            18446744073709551615 1 1\n
            """
        let stat = try #require(ProcessStat(line))
        #expect(stat.parent == 7)
        #expect(stat.cpuTime == .nanoseconds(200 * (1_000_000_000 / ProcFS.ticksPerSecond)))
        #expect(
            stat.reapedChildrenCPUTime == .nanoseconds(30 * (1_000_000_000 / ProcFS.ticksPerSecond))
        )
        #expect(stat.threadCount == 5)
        #expect(stat.startTicks == 900)
        #expect(stat.virtualBytes == 4_096_000)
        #expect(stat.residentPages == 250)
        for length in 0..<line.utf8.count - 30 {
            _ = ProcessStat(String(line.prefix(length)))  // No truncated line may crash the parser.
        }
        #expect(ProcessStat("") == nil)
    }
}
