import ChatModel

/// What a loop's chat has decided to send: to other loops, to itself, to the store.
struct Outbox: Sendable {
    let id: OwnerID
    /// The number of the view that this loop follows.
    private var view: Int
    /// For this very loop: the same items, without an envelope around them.
    private(set) var local: [Envelope.Item] = []
    private var peers: [Peer] = []
    private var index: [OwnerID: Int] = [:]
    /// Where mail went last: it mostly goes there again.
    private var last = 0
    private(set) var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
    private var lastTicket: StoreTicket = 0

    init(id: OwnerID, view: Int) {
        self.id = id
        self.view = view
    }

    /// Another view: what was for nodes that are gone in it is forgotten with them.
    mutating func follow(_ view: View, gone: Set<UInt64>) {
        self.view = view.number
        guard self.peers.contains(where: { gone.contains($0.id.incarnation) }) else { return }
        self.peers.removeAll { gone.contains($0.id.incarnation) }
        self.index = Dictionary(uniqueKeysWithValues: self.peers.enumerated().map { ($1.id, $0) })
        self.last = 0
    }

    mutating func send(_ item: consuming Envelope.Item, to loop: OwnerID) {
        if loop == self.id {
            self.local.append(consume item)
        } else {
            self.peers[self.place(of: loop)].items.append(consume item)
        }
    }

    /// Takes this loop's mail to itself, and leaves the emptied array of the last time for the next.
    mutating func swapLocal(with items: inout [Envelope.Item]) {
        swap(&self.local, &items)
    }

    mutating func arrived(_ envelope: Envelope) -> Peer.Arrival {
        self.peers[self.place(of: envelope.from)].arrived(envelope)
    }

    private mutating func place(of loop: OwnerID) -> Int {
        if self.last < self.peers.count, self.peers[self.last].id == loop { return self.last }
        if let place = self.index[loop] {
            self.last = place
        } else {
            self.last = self.peers.count
            self.index[loop] = self.peers.count
            self.peers.append(Peer(id: loop))
        }
        return self.last
    }

    mutating func seal(into envelopes: inout [Envelope]) {
        for place in self.peers.indices {
            if let envelope = self.peers[place].seal(from: self.id, view: self.view) { envelopes.append(envelope) }
        }
    }

    mutating func tick(into envelopes: inout [Envelope]) {
        for place in self.peers.indices {
            if let envelope = self.peers[place].tick(from: self.id, view: self.view) { envelopes.append(envelope) }
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
