public import ChatModel
public import Cluster

/// What a loop has for others, in arrays of its own: a test has no room to lend.
extension ChatLoop {
    public mutating func takeRequests() -> [(request: StoreRequest, ticket: StoreTicket)] {
        var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
        self.takeRequests(into: &requests)
        return requests
    }

    public mutating func takeDeliveries() -> [Delivery] {
        var deliveries: [Delivery] = []
        self.takeDeliveries(into: &deliveries)
        return deliveries
    }
}
