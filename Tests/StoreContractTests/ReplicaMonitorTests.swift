import EventLoop
import TestTraits
import Testing

@testable import RedisStore

@Suite("A write to a Redis master", .ownThread)
struct ReplicaMonitorTests {
    @Test("waits for a replica unless the master has had none for a while")
    func requiredReplicas() {
        let gracePeriod = Duration.seconds(5)
        var now = MonotonicTime(nanoseconds: 0)
        var monitor = ReplicaMonitor()
        #expect(monitor.requiredReplicas(now: now, gracePeriod: gracePeriod) == 1)
        monitor.record(0, now: now)
        #expect(monitor.requiredReplicas(now: now, gracePeriod: gracePeriod) == 0)
        monitor.record(2, now: now)
        #expect(monitor.requiredReplicas(now: now, gracePeriod: gracePeriod) == 1)
        // As during a failover.
        monitor.record(0, now: now)
        #expect(monitor.requiredReplicas(now: now, gracePeriod: gracePeriod) == 1)
        now = now.advanced(by: .seconds(6))
        monitor.record(0, now: now)
        #expect(monitor.requiredReplicas(now: now, gracePeriod: gracePeriod) == 0)
        // The server reports that it is not a master.
        monitor.record(nil, now: now)
        #expect(monitor.requiredReplicas(now: now, gracePeriod: gracePeriod) == 1)
    }
}
