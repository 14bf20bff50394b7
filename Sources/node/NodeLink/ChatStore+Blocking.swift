public import ChatModel
internal import Synchronization
internal import Telemetry

extension ChatStore {
    /// Submits a request and blocks the calling thread until the store has answered. Never call it
    /// on the store's own thread.
    public func blockingAnswer(to request: StoreRequest) -> StoreAnswer {
        let client = BlockingStoreClient()
        self.submit(request, ticket: 0, for: client)
        return client.wait()
    }
}

/// Waits for the answer to one request.
private final class BlockingStoreClient: StoreClient {
    private let received = Mutex<StoreAnswer?>(nil)
    private let completion = Semaphore()

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        self.received.withLock { $0 = answer }
        self.completion.post()
    }

    func wait() -> StoreAnswer {
        self.completion.wait()
        guard let answer = self.received.withLock({ $0.take() }) else {
            preconditionFailure("a request to the store has ended without an answer")
        }
        return answer
    }
}
