import Bytes
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
    /// Nothing for other loops has gathered since the last `seal`, but for what may wait.
    private var isSealed = true
    /// What leaves with the writes of this turn, if they are stored.
    private var news: [Envelope] = []

    init(id: OwnerID) {
        self.id = id
    }

    /// Nobody knows who this is from here on: every exchange begins anew. What the store is asked stays asked, because pages are among
    /// it, and tickets go on, so that answers to the old owner are for nobody.
    mutating func become(_ id: OwnerID) {
        self.id = id
        self.local = []
        self.peers = []
        self.news = []
        self.index = [:]
        self.last = 0
        self.isSealed = true
    }

    /// Whether something is to be done with what has gathered.
    var hasWork: Bool { !self.local.isEmpty || !self.requests.isEmpty || !self.isSealed }

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
            self.isSealed = false
            self.peers[self.place(of: loop)].items.append(consume item)
        }
    }

    /// Sends what may wait for other mail to the same loop, at most until the next `hurry`.
    mutating func sendAlong(_ item: consuming Envelope.Item, to loop: OwnerID) {
        guard loop != self.id else { return self.local.append(consume item) }
        let place = self.place(of: loop)
        if self.peers[place].riders.count < Peer.riderLimit {
            self.peers[place].riders.append(consume item)
        } else {
            self.isSealed = false
            self.peers[place].items.append(consume item)
        }
    }

    /// For a loop of another node: leaves with the writes that are asked for next.
    mutating func sendWithWrites(_ item: consuming Envelope.Item, to loop: OwnerID) {
        self.isSealed = false
        self.peers[self.place(of: loop)].news.append(consume item)
    }

    mutating func takeNews() -> [Envelope] {
        if self.news.isEmpty { return [] }
        defer { self.news = [] }
        return self.news
    }

    /// What still waits for other mail leaves by itself, all for one loop in one envelope.
    mutating func hurry() {
        for place in self.peers.indices {
            self.peers[place].hurry()
            if !self.peers[place].items.isEmpty { self.isSealed = false }
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

    /// What has gathered is numbered; what leaves with the writes is what `takeNews` gives next.
    ///
    /// - Parameter view: the number of the one that this loop follows.
    mutating func seal(view: Int, into envelopes: inout [Envelope]) {
        guard !self.isSealed else { return }
        self.isSealed = true
        for place in self.peers.indices {
            let (mail, news) = self.peers[place].seal(from: self.id, view: view)
            if let mail { envelopes.append(mail) }
            if let news { self.news.append(news) }
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

    /// Replaces what is in `requests` by what the store is to be asked. The emptied array is used for the next.
    mutating func takeRequests(into requests: inout [(request: StoreRequest, ticket: StoreTicket)]) {
        requests.clear(keepingRoomFor: 64)
        swap(&requests, &self.requests)
    }
}
