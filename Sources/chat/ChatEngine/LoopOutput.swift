import Bytes
import ChatModel
import Cluster

/// The output of a loop's chat engine: items to other loops and itself, requests to the store.
struct LoopOutput: Sendable {
    private(set) var id: LoopID
    /// Items for this loop itself, without an envelope.
    private(set) var local: [Envelope.Item] = []
    private var peers: [PeerLoop] = []
    private var index: [LoopID: Int] = [:]
    /// The index of the last peer used; consecutive items mostly have the same receiver.
    private var lastPeer = 0
    /// How often peers were dropped because their nodes were removed.
    private var removals: UInt64 = 0
    private(set) var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
    private var lastTicket: StoreTicket = 0
    /// There are no new items for other loops since the last `seal`, except deferred ones.
    private var isSealed = true
    /// Envelopes that leave with this turn's writes, if they are stored.
    private var envelopesWithWrite: [Envelope] = []
    /// The steps of messages. They are here because every part of the engine gets the output.
    var trace: MessageTrace
    /// Members that came online or went offline, since the last turn; nil if they are not
    /// collected.
    var presence: [(conversation: ConversationKey, changes: [PresenceChange])]?

    init(id: LoopID, traceRecords: Int = 1) {
        self.id = id
        self.trace = MessageTrace(capacity: traceRecords)
    }

    /// Starts all exchanges again, because no peer knows the new incarnation. Store requests stay
    /// pending, because page reads are among them. Tickets keep increasing, so answers to the old
    /// owner match no request.
    mutating func rejoin(as id: LoopID) {
        self.id = id
        self.local = []
        self.peers = []
        self.envelopesWithWrite = []
        self.index = [:]
        self.lastPeer = 0
        self.isSealed = true
    }

    /// Whether `finishTurn` has work to do.
    var hasWork: Bool { !self.local.isEmpty || !self.requests.isEmpty || !self.isSealed }

    /// The nodes of peers that are not in this view although they knew no later one.
    func nodesMissing(in view: View) -> Set<UInt64> {
        Set(self.peers.lazy.filter { $0.view <= view.number }.map(\.id.incarnation))
            .subtracting(view.nodes.map(\.incarnation))
    }

    /// Drops the state and the items for removed nodes.
    ///
    /// If the store loses the removal, a node returns under its incarnation and still knows the
    /// numbers that it received. Therefore later peers get higher numbers, which it takes for a
    /// gap.
    mutating func removePeers(of removedNodes: Set<UInt64>) {
        guard self.peers.contains(where: { removedNodes.contains($0.id.incarnation) }) else {
            return
        }
        self.removals += 1
        self.peers.removeAll { removedNodes.contains($0.id.incarnation) }
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

    /// Sends an item that may wait for other items to the same loop, at most until `flushDeferred`.
    mutating func sendDeferred(_ item: consuming Envelope.Item, to loop: LoopID) {
        guard loop != self.id else { return self.local.append(consume item) }
        let index = self.peerIndex(of: loop)
        if self.peers[index].deferredItems.count < PeerLoop.deferredLimit {
            self.peers[index].deferredItems.append(consume item)
        } else {
            self.isSealed = false
            self.peers[index].items.append(consume item)
        }
    }

    /// Sends an item to a loop of another node together with the next writes.
    mutating func sendWithWrites(_ item: consuming Envelope.Item, to loop: LoopID) {
        self.isSealed = false
        self.peers[self.peerIndex(of: loop)].itemsWithWrite.append(consume item)
    }

    mutating func takeEnvelopesWithWrite() -> [Envelope] {
        if self.envelopesWithWrite.isEmpty { return [] }
        defer { self.envelopesWithWrite = [] }
        return self.envelopesWithWrite
    }

    /// Sends the deferred items, all for one loop in one envelope.
    mutating func flushDeferred() {
        for index in self.peers.indices {
            self.peers[index].flushDeferred()
            if !self.peers[index].items.isEmpty { self.isSealed = false }
        }
    }

    /// Takes this loop's items for itself, and leaves the passed empty array in their place.
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
        if let index = self.index[loop] {
            self.lastPeer = index
        } else {
            self.lastPeer = self.peers.count
            self.index[loop] = self.peers.count
            self.peers.append(PeerLoop(id: loop, sent: self.removals << 40))
        }
        return self.lastPeer
    }

    /// Numbers the pending items and seals them in envelopes. `takeEnvelopesWithWrite` returns
    /// those that leave with the writes.
    ///
    /// - Parameter view: the number of the view that this loop follows.
    mutating func seal(view: Int, into envelopes: inout [Envelope]) {
        guard !self.isSealed else { return }
        self.isSealed = true
        for index in self.peers.indices {
            let (envelope, envelopeWithWrite) = self.peers[index].seal(from: self.id, view: view)
            if let envelope { envelopes.append(envelope) }
            if let envelopeWithWrite { self.envelopesWithWrite.append(envelopeWithWrite) }
        }
    }

    mutating func tick(view: Int, into envelopes: inout [Envelope]) {
        for index in self.peers.indices {
            if let envelope = self.peers[index].tick(from: self.id, view: view) {
                envelopes.append(envelope)
            }
        }
    }

    mutating func submit(_ request: StoreRequest) -> StoreTicket {
        self.lastTicket = StoreTicket(rawValue: self.lastTicket.rawValue + 1)
        self.requests.append((request, self.lastTicket))
        return self.lastTicket
    }

    mutating func recordPresence(_ event: ChatEvent, in conversation: ConversationKey) {
        switch event {
        case .presence(let changes), .crowd(_, let changes):
            self.presence?.append((conversation, changes))
        case .created, .posted, .edited, .deleted, .reacted, .pinned, .unpinned, .joined, .renamed,
            .left, .ended, .updated, .typing, .read, .status:
            break
        }
    }

    /// Replaces the contents of `requests` with the new requests to the store, and reuses the
    /// passed array.
    mutating func takeRequests(into requests: inout [(request: StoreRequest, ticket: StoreTicket)])
    {
        requests.clear(keepingCapacityUpTo: 64)
        swap(&requests, &self.requests)
    }
}
