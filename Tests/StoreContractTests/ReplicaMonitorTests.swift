import EventLoop
import Testing

@testable import RedisStore

@Suite("A write to a Redis master")
struct ReplicaMonitorTests {
    @Test("waits for a replica unless the master has had none for a while")
    func requiredReplicas() {
        let patience = Duration.seconds(5)
        var now = MonotonicTime(nanoseconds: 0)
        var watch = ReplicaMonitor()
        #expect(watch.requiredReplicas(now: now, gracePeriod: patience) == 1)
        watch.record(0, now: now)
        #expect(watch.requiredReplicas(now: now, gracePeriod: patience) == 0)
        watch.record(2, now: now)
        #expect(watch.requiredReplicas(now: now, gracePeriod: patience) == 1)
        // As while another is being made the master.
        watch.record(0, now: now)
        #expect(watch.requiredReplicas(now: now, gracePeriod: patience) == 1)
        now = now.advanced(by: .seconds(6))
        watch.record(0, now: now)
        #expect(watch.requiredReplicas(now: now, gracePeriod: patience) == 0)
        // It says that it is no master.
        watch.record(nil, now: now)
        #expect(watch.requiredReplicas(now: now, gracePeriod: patience) == 1)
    }
}
