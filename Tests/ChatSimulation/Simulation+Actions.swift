import Bytes
import ChatCore
import ChatEngine
import ChatModel
import SeededRandom

/// Execution of the scheduled actions.
extension Simulation {
    func perform(_ action: Action) {
        // Actions of a frozen node wait until it resumes.
        if let number = self.loop(of: action), self.now < self.loops[number].frozenUntil {
            self.queue.postpone(action, from: self.now, to: self.loops[number].frozenUntil)
            return
        }
        if let number = self.loop(of: action), self.loops[number].hasStalled {
            self.loops[number].hasStalled = false
            if !self.loops[number].isDead {
                self.loops[number].chat.resumedAfterStall(at: self.clock(of: number))
            }
        }
        switch action {
        case .tick(let number):
            guard !self.loops[number].isDead else { return }
            self.loops[number].chat.tick(at: self.clock(of: number))
            self.scheduleTurn(number)
            self.queue.add(.tick(number), at: self.now + 100)
        case .turn(let number):
            self.turn(number)
        case .arrive(let envelope):
            self.arrive(envelope)
        case .runJob(let job):
            self.runJob(job)
        case .runJobLate(let job):
            self.record(self.store.execute(job), to: job, isAcknowledged: false)
        case .storeAnswer(let number, let answer, let ticket):
            guard !self.loops[number].isDead else { return }
            self.loops[number].chat.storeAnswered(
                answer, ticket: ticket, at: self.clock(of: number))
            self.scheduleTurn(number)
        case .clientActs(let number):
            self.act(self.clients[number])
        case .cutLink(let from, let to):
            self.log("--- the link from node \(from) to node \(to) is cut")
            self.cutNodePairs.insert([from, to])
        case .restoreLink(let from, let to):
            self.log("--- the link from node \(from) to node \(to) is restored")
            self.cutNodePairs.remove([from, to])
            // A node notices only some of its losses.
            guard self.random.happens(perMille: 500) else { return }
            for number in self.loops.indices
            where self.loops[number].node == to && !self.loops[number].isDead {
                self.loops[number].chat.messagesMayBeLost(at: self.clock(of: number))
                self.scheduleTurn(number)
            }
        case .failStore(let failure):
            self.log(
                failure == .none ? "--- the store works again" : "--- the store fails: \(failure)")
            self.store.failure = failure
        case .claimByAnotherOwner:
            self.claimByAnotherOwner()
        case .changeView:
            self.changeView()
        case .killNode:
            self.killNode()
        case .freezeNode:
            self.freezeNode()
        case .nodeTick(let number):
            self.nodeTick(number)
        case .membershipRequest(let number, let request, let connection):
            self.execute(request, of: number, connection: connection)
        case .membershipReply(let number, let reply, let connection):
            self.receive(reply, by: number, connection: connection)
        case .viewAnnounced(let number):
            self.viewAnnounced(to: number)
        case .nodeReconnected(let number):
            self.nodeReconnected(number)
        case .rejoin(let number, let id, let view):
            self.rejoin(number, as: id, view)
        case .jumpClock:
            self.jumpClock()
        case .loseStoreData:
            self.loseStoreData()
        case .handOverShards:
            self.handOverShards()
        case .splitMasters:
            self.splitMasters()
        case .uniteMasters:
            self.uniteMasters()
        case .storeReconnected(let number):
            guard !self.loops[number].isDead else { return }
            self.loops[number].chat.storeMayHaveLostData(at: self.clock(of: number))
            self.scheduleTurn(number)
        case .follow(let number, let view):
            self.follow(number, view)
        case .restoreAll:
            self.cutNodePairs = []
            self.store.failure = .none
        case .calm:
            self.log("--- calm")
            self.isCalm = true
        case .checkQuietly:
            self.checkQuietly()
        case .reconnectClients:
            // Some clients stay offline, and must be shown as offline.
            for client in self.clients
            where client.state == .offline && self.random.happens(perMille: 600) {
                client.mustReturn = true
                self.connect(client)
            }
            for client in self.clients where client.state != .offline { client.mustReturn = true }
        case .sendFinalMessages:
            for client in self.clients where client.isJoined { self.sendFinalMessage(client) }
        case .checkAll:
            self.checkAll()
        case .disconnectClients:
            for client in self.clients { self.disconnect(client) }
        case .checkNothingRetained:
            self.checkNothingRetained()
            self.isOver = true
        }
    }

    /// The loop that executes an action.
    func loop(of action: Action) -> Int? {
        switch action {
        case .tick(let number), .turn(let number), .storeAnswer(let number, _, _),
            .follow(let number, _), .rejoin(let number, _, _),
            .storeReconnected(let number):
            number
        case .arrive(let envelope): self.loopNumbers[envelope.to]
        case .nodeTick(let node), .membershipReply(let node, _, _), .viewAnnounced(let node),
            .nodeReconnected(let node):
            self.loops.firstIndex { $0.node == node }
        case .clientActs(let number):
            self.clients[number].state == .offline ? nil : self.clients[number].loop
        default: nil
        }
    }

    func scheduleTurn(_ number: Int) {
        guard !self.loops[number].isTurnDue else { return }
        self.loops[number].isTurnDue = true
        self.queue.add(.turn(number), at: self.now + self.random.number(self.parameters.turnDelay))
    }
}
