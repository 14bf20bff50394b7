public import ChatModel
import Cluster
import EventLoop
import Synchronization

/// What operators ask of a node.
extension Gateway {
    /// Every loop's report; one that does not answer in time is missing.
    public func reports(within time: Duration) async -> [LoopReport] {
        await self.requestAll(within: time) { reply in .report { reply($0) } }
    }

    /// The shards that each loop has claimed; of one that does not answer in time they are missing.
    public func shards(within time: Duration) async -> [ShardReport] {
        await self.requestAll(within: time) { reply in .shards { reply($0) } }.flatMap(\.self)
    }

    private func requestAll<Value: Sendable>(
        within time: Duration,
        _ make: @escaping @Sendable (@escaping @Sendable (Value) -> Void) -> LoopControlMessage
    ) async -> [Value] {
        await withTaskGroup(of: Value?.self) { group in
            for loop in 0..<self.loopCount {
                group.addTask { await self.request(loop, within: time, make) }
            }
            var values: [Value] = []
            for await value in group { if let value { values.append(value) } }
            return values
        }
    }

    /// What this node, as the owner, takes for stored of a conversation; nil where it is not in memory.
    public func storedPosition(of key: ConversationKey, within time: Duration) async -> (
        head: SequenceNumber, revision: Revision
    )? {
        let loop = View.preferredLoop(of: key, loops: self.loopCount)
        return await self.request(loop, within: time) { reply in .storedPosition(key) { reply($0) }
        } ?? nil
    }

    /// A command of somebody's who has no connection; nil: no answer in time.
    public func command(_ command: ChatCommand, in key: ConversationKey, within time: Duration)
        async -> ChatAnswer?
    {
        let loop = View.preferredLoop(of: key, loops: self.loopCount)
        return await self.request(loop, within: time) { reply in
            .command(command, key) { reply($0) }
        }
    }

    /// Something that is only read; nil: no answer in time.
    public func read(_ request: StoreRequest, within time: Duration) async -> StoreAnswer? {
        await self.request(0, within: time) { reply in .read(request) { reply($0) } }
    }

    private func request<Value: Sendable>(
        _ loop: Int, within time: Duration,
        _ make: (@escaping @Sendable (Value) -> Void) -> LoopControlMessage
    ) async -> Value? {
        await withCheckedContinuation { continuation in
            let answer = OneShot(continuation)
            let patience = Task {
                try? await Task.sleep(for: time)
                answer.complete(nil)
            }
            self.post(
                make {
                    answer.complete($0)
                    patience.cancel()
                }, to: loop)
        }
    }
}

/// The first answer counts, be it that there is none.
private final class OneShot<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Value?, Never>?>

    init(_ continuation: CheckedContinuation<Value?, Never>) {
        self.continuation = Mutex(continuation)
    }

    func complete(_ value: Value?) {
        self.continuation.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }?.resume(returning: value)
    }
}
