import ChatModel

@testable import Cluster

extension Outbox {
    /// In an array of its own: a test has no room to lend.
    mutating func takeRequests() -> [(request: StoreRequest, ticket: StoreTicket)] {
        var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
        self.takeRequests(into: &requests)
        return requests
    }
}
