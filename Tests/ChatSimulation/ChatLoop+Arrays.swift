public import ChatEngine
public import ChatModel

/// Outputs of a loop in new arrays, because tests need not reuse arrays.
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
