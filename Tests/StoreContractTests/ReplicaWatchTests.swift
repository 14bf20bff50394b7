import EventLoop
import Testing

@testable import RedisStore

@Suite("A write to a Redis master")
struct ReplicaWatchTests {
    @Test("waits for a replica unless the master has had none for a while")
    func wanted() {
        let patience = Duration.seconds(5)
        var now = MonotonicTime(nanoseconds: 0)
        var watch = ReplicaWatch()
        #expect(watch.wanted(now: now, patience: patience) == 1)
        watch.note(0, now: now)
        #expect(watch.wanted(now: now, patience: patience) == 0)
        watch.note(2, now: now)
        #expect(watch.wanted(now: now, patience: patience) == 1)
        // As while another is being made the master.
        watch.note(0, now: now)
        #expect(watch.wanted(now: now, patience: patience) == 1)
        now = now.advanced(by: .seconds(6))
        watch.note(0, now: now)
        #expect(watch.wanted(now: now, patience: patience) == 0)
        // It says that it is no master.
        watch.note(nil, now: now)
        #expect(watch.wanted(now: now, patience: patience) == 1)
    }
}
