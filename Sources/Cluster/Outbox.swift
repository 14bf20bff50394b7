import ChatModel

/// What a loop's chat has decided to send: to other loops, to itself, to the store.
struct Outbox: Sendable {
    let id: OwnerID
    /// For this very loop: the same items, without an envelope around them.
    var local: [Envelope.Item] = []
    private(set) var peers: [Peer] = []
    private var index: [OwnerID: Int] = [:]
    private(set) var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
    private var lastTicket: StoreTicket = 0

    init(id: OwnerID) {
        self.id = id
    }

    mutating func send(_ item: Envelope.Item, to loop: OwnerID) {
        if loop == self.id {
            self.local.append(item)
        } else {
            self.peers[self.place(of: loop)].items.append(item)
        }
    }

    mutating func arrived(_ envelope: Envelope) -> Peer.Arrival {
        self.peers[self.place(of: envelope.from)].arrived(envelope)
    }

    private mutating func place(of loop: OwnerID) -> Int {
        if let place = self.index[loop] { return place }
        self.peers.append(Peer(id: loop))
        self.index[loop] = self.peers.count - 1
        return self.peers.count - 1
    }

    mutating func seal(into envelopes: inout [Envelope]) {
        for place in self.peers.indices {
            if let envelope = self.peers[place].seal(from: self.id) { envelopes.append(envelope) }
        }
    }

    mutating func tick(into envelopes: inout [Envelope]) {
        for place in self.peers.indices {
            if let envelope = self.peers[place].tick(from: self.id) { envelopes.append(envelope) }
        }
    }

    mutating func request(_ request: StoreRequest) -> StoreTicket {
        self.lastTicket += 1
        self.requests.append((request, self.lastTicket))
        return self.lastTicket
    }

    mutating func takeRequests() -> [(request: StoreRequest, ticket: StoreTicket)] {
        defer { self.requests = [] }
        return self.requests
    }
}
