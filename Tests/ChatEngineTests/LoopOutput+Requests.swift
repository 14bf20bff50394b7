import ChatModel

@testable import ChatEngine

extension LoopOutput {
    /// Returns the requests in a new array, because tests need not reuse arrays.
    mutating func takeRequests() -> [(request: StoreRequest, ticket: StoreTicket)] {
        var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
        self.takeRequests(into: &requests)
        return requests
    }
}
