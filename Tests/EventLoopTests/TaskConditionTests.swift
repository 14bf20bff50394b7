import EventLoop
import Synchronization
import TestTraits
import Testing

@Suite("A condition of tasks", .ownThread)
struct TaskConditionTests {
    private let condition = TaskCondition()
    private let count = Counter()

    private final class Counter: Sendable {
        let value = Atomic(0)
        var current: Int { self.value.load(ordering: .relaxed) }
        func increment() { self.value.add(1, ordering: .relaxed) }
    }

    @Test("that is fulfilled returns at once")
    func immediate() async {
        #expect(await self.condition.wait { true })
        #expect(await self.condition.wait(within: .seconds(60)) { true })
    }

    @Test("resumes each waiting task when its own condition is fulfilled")
    func notification() async {
        let condition = self.condition
        let count = self.count
        await withTaskGroup(of: Bool.self) { group in
            for limit in 1...50 {
                group.addTask { await condition.wait { count.current >= limit } }
            }
            for _ in 1...50 {
                await Task.yield()
                count.increment()
                condition.notify()
            }
            for await isFulfilled in group { #expect(isFulfilled) }
        }
    }

    @Test("returns false after its time limit, and without one only when it is cancelled")
    func limits() async {
        let condition = self.condition
        #expect(await condition.wait(within: .milliseconds(1)) { false } == false)
        let task = Task { await condition.wait { false } }
        condition.notify()
        task.cancel()
        #expect(await task.value == false)
        // Cancelled before it waits.
        let early = Task {
            while !Task.isCancelled { await Task.yield() }
            return await condition.wait { false }
        }
        early.cancel()
        #expect(await early.value == false)
    }
}
