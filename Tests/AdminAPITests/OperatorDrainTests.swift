import Synchronization
import Testing

@testable import AdminAPI

@Suite("The drain of an operator")
struct OperatorDrainTests {
    /// The steps of all drains, in their order.
    private final class Course: Sendable {
        private let list = Mutex<[String]>([])
        var steps: [String] { self.list.withLock { $0 } }
        func append(_ step: String) { self.list.withLock { $0.append(step) } }
    }

    /// Starts a drain whose second step waits for `gate`.
    private static func start(
        _ drain: OperatorDrain, _ name: String, _ course: Course, after gate: AsyncStream<Void>,
        then done: AsyncStream<Void>.Continuation
    ) {
        drain.start {
            course.append("\(name) began")
        } then: { run in
            for await _ in gate { break }
            let isCurrent = run.step { course.append("\(name) went on") }
            if !isCurrent { course.append("\(name) stopped") }
            done.yield()
        }
    }

    @Test("takes no step after it was ended, even if its task has not noticed")
    func ended() async {
        let (drain, course) = (OperatorDrain(), Course())
        let (gate, opened) = AsyncStream<Void>.makeStream()
        let (end, done) = AsyncStream<Void>.makeStream()
        Self.start(drain, "drain", course, after: gate, then: done)
        #expect(course.steps == ["drain began"])
        #expect(drain.end { course.append("resumed") })
        opened.yield()
        for await _ in end { break }
        #expect(course.steps == ["drain began", "resumed", "drain stopped"])
    }

    @Test("ends when another one begins")
    func replaced() async {
        let (drain, course) = (OperatorDrain(), Course())
        let (gate, _) = AsyncStream<Void>.makeStream()
        let (end, done) = AsyncStream<Void>.makeStream()
        Self.start(drain, "first", course, after: gate, then: done)
        let (open, opened) = AsyncStream<Void>.makeStream()
        Self.start(drain, "second", course, after: open, then: done)
        opened.yield()
        var ends = end.makeAsyncIterator()
        for _ in 0..<2 { await ends.next() }
        #expect(
            Set(course.steps) == ["first began", "second began", "first stopped", "second went on"])
    }

    @Test("cannot be resumed from while the node shuts down")
    func shutdown() {
        let (drain, course) = (OperatorDrain(), Course())
        drain.beginShutdown()
        #expect(!drain.end { course.append("resumed") })
        #expect(course.steps.isEmpty)
    }
}
