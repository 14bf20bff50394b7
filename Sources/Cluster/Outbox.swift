import ChatModel

/// What a loop's chat has decided to send: to other loops, to itself, to the store.
struct Outbox: Sendable {
    private(set) var id: OwnerID
    /// For this very loop: the same items, without an envelope around them.
    private(set) var local: [Envelope.Item] = []
    private var peers: [Peer] = []
    private var index: [OwnerID: Int] = [:]
    /// Where mail went last: it mostly goes there again.
    private var last = 0
    private(set) var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
    private var lastTicket: StoreTicket = 0

    init(id: OwnerID) {
        self.id = id
    }

    /// Nobody knows who this is from here on: every exchange begins anew. What the store is asked stays asked, because pages are among
    /// it, and tickets go on, so that answers to the old owner are for nobody.
    mutating func become(_ id: OwnerID) {
        self.id = id
        self.local = []
        self.peers = []
        self.index = [:]
        self.last = 0
    }

    /// What was for nodes that are gone is forgotten with them.
    mutating func forget(_ gone: Set<UInt64>) {
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

    /// - Parameter view: the number of the one that this loop follows.
    mutating func seal(view: Int, into envelopes: inout [Envelope]) {
        for place in self.peers.indices {
            if let envelope = self.peers[place].seal(from: self.id, view: view) { envelopes.append(envelope) }
        }
    }

    mutating func tick(view: Int, into envelopes: inout [Envelope]) {
        for place in self.peers.indices {
            if let envelope = self.peers[place].tick(from: self.id, view: view) { envelopes.append(envelope) }
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
