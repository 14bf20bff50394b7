import Bytes
import ChatModel

/// What a loop's chat has decided to send: to other loops, to itself, to the store.
struct Outbox: Sendable {
    private(set) var id: LoopID
    /// For this very loop: the same items, without an envelope around them.
    private(set) var local: [Envelope.Item] = []
    private var peers: [PeerLoop] = []
    private var index: [LoopID: Int] = [:]
    /// Where mail went last: it mostly goes there again.
    private var lastPeer = 0
    private(set) var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
    private var lastTicket: StoreTicket = 0
    /// Nothing for other loops has gathered since the last `seal`, but for what may wait.
    private var isSealed = true
    /// What leaves with the writes of this turn, if they are stored.
    private var envelopesWithWrite: [Envelope] = []

    init(id: LoopID) {
        self.id = id
    }

    /// Nobody knows who this is from here on: every exchange begins anew. What the store is asked stays asked, because pages are among
    /// it, and tickets go on, so that answers to the old owner are for nobody.
    mutating func rejoin(as id: LoopID) {
        self.id = id
        self.local = []
        self.peers = []
        self.envelopesWithWrite = []
        self.index = [:]
        self.lastPeer = 0
        self.isSealed = true
    }

    /// Whether something is to be done with what has gathered.
    var hasWork: Bool { !self.local.isEmpty || !self.requests.isEmpty || !self.isSealed }

    /// What was for nodes that are gone is forgotten with them.
    mutating func removePeers(of gone: Set<UInt64>) {
        guard self.peers.contains(where: { gone.contains($0.id.incarnation) }) else { return }
        self.peers.removeAll { gone.contains($0.id.incarnation) }
        self.index = Dictionary(uniqueKeysWithValues: self.peers.enumerated().map { ($1.id, $0) })
        self.lastPeer = 0
    }

    mutating func send(_ item: consuming Envelope.Item, to loop: LoopID) {
        if loop == self.id {
            self.local.append(consume item)
        } else {
            self.isSealed = false
            self.peers[self.peerIndex(of: loop)].items.append(consume item)
        }
    }

    /// Sends what may wait for other mail to the same loop, at most until the next `hurry`.
    mutating func sendDeferred(_ item: consuming Envelope.Item, to loop: LoopID) {
        guard loop != self.id else { return self.local.append(consume item) }
        let place = self.peerIndex(of: loop)
        if self.peers[place].deferredItems.count < PeerLoop.deferredLimit {
            self.peers[place].deferredItems.append(consume item)
        } else {
            self.isSealed = false
            self.peers[place].items.append(consume item)
        }
    }

    /// For a loop of another node: leaves with the writes that are asked for next.
    mutating func sendWithWrites(_ item: consuming Envelope.Item, to loop: LoopID) {
        self.isSealed = false
        self.peers[self.peerIndex(of: loop)].itemsWithWrite.append(consume item)
    }

    mutating func takeEnvelopesWithWrite() -> [Envelope] {
        if self.envelopesWithWrite.isEmpty { return [] }
        defer { self.envelopesWithWrite = [] }
        return self.envelopesWithWrite
    }

    /// What still waits for other mail leaves by itself, all for one loop in one envelope.
    mutating func flushDeferred() {
        for place in self.peers.indices {
            self.peers[place].flushDeferred()
            if !self.peers[place].items.isEmpty { self.isSealed = false }
        }
    }

    /// Takes this loop's mail to itself, and leaves the emptied array of the last time for the next.
    mutating func swapLocal(with items: inout [Envelope.Item]) {
        swap(&self.local, &items)
    }

    mutating func recordArrival(_ envelope: Envelope) -> PeerLoop.Arrival {
        self.peers[self.peerIndex(of: envelope.from)].recordArrival(envelope)
    }

    private mutating func peerIndex(of loop: LoopID) -> Int {
        if self.lastPeer < self.peers.count, self.peers[self.lastPeer].id == loop {
            return self.lastPeer
        }
        if let place = self.index[loop] {
            self.lastPeer = place
        } else {
            self.lastPeer = self.peers.count
            self.index[loop] = self.peers.count
            self.peers.append(PeerLoop(id: loop))
        }
        return self.lastPeer
    }

    /// What has gathered is numbered; what leaves with the writes is what `takeEnvelopesWithWrite` gives next.
    ///
    /// - Parameter view: the number of the one that this loop follows.
    mutating func seal(view: Int, into envelopes: inout [Envelope]) {
        guard !self.isSealed else { return }
        self.isSealed = true
        for place in self.peers.indices {
            let (mail, news) = self.peers[place].seal(from: self.id, view: view)
            if let mail { envelopes.append(mail) }
            if let news { self.envelopesWithWrite.append(news) }
        }
    }

    mutating func tick(view: Int, into envelopes: inout [Envelope]) {
        for place in self.peers.indices {
            if let envelope = self.peers[place].tick(from: self.id, view: view) {
                envelopes.append(envelope)
            }
        }
    }

    mutating func submit(_ request: StoreRequest) -> StoreTicket {
        self.lastTicket += 1
        self.requests.append((request, self.lastTicket))
        return self.lastTicket
    }

    /// Replaces what is in `requests` by what the store is to be asked. The emptied array is used for the next.
    mutating func takeRequests(into requests: inout [(request: StoreRequest, ticket: StoreTicket)])
    {
        requests.clear(keepingCapacityUpTo: 64)
        swap(&requests, &self.requests)
    }
}
