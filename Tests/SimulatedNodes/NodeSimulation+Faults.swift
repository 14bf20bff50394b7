import SeededRandom
import SimulatedNetwork

extension NodeSimulation {
    private enum SimulatedFault: CaseIterable {
        case reset, forget, block, blockOneDirection, delay, freezeNode, freezeRedis, killNode
        case restartRedis, jumpClock
    }

    /// Plans a fault, and after it the next one.
    func scheduleFaults(until end: Int64) {
        let pause = self.network.random.number(Self.second / 2...8 * Self.second)
        self.network.schedule(after: pause) {
            guard self.network.now < end - 10 * Self.second else { return }
            self.breakSomething(until: end)
            self.scheduleFaults(until: end)
        }
    }

    private func breakSomething(until end: Int64) {
        self.faultCount += 1
        let random = self.network.random.next(below: SimulatedFault.allCases.count)
        let node = self.nodeHosts[self.network.random.next(below: self.nodeHosts.count)]
        let redis = self.redisHosts[self.network.random.next(below: self.redisHosts.count)]
        let (one, other) = (self.randomHost, self.randomHost)
        let length = self.network.random.number(Self.second / 10...12 * Self.second)
        func after(_ time: Int64, _ action: @escaping () -> Void) {
            self.network.schedule(after: min(time, end - self.network.now), action)
        }
        func change(_ link: (inout SimulatedLink) -> Void, _ isBothWays: Bool) {
            link(&self.network[one, other])
            if isBothWays { link(&self.network[other, one]) }
        }
        switch SimulatedFault.allCases[random] {
        case .reset:
            self.note("reset \(one.name) \(other.name)")
            self.network.reset(between: one, and: other)
        case .forget:
            self.note("forget \(one.name) \(other.name)")
            self.network.forget(between: one, and: other)
        case .block:
            self.note("block \(one.name) \(other.name) for \(length / 1_000_000) ms")
            change({ $0.isBlocked = true }, true)
            after(length) { change({ $0.isBlocked = false }, true) }
        case .blockOneDirection:
            self.note("block \(one.name) to \(other.name) for \(length / 1_000_000) ms")
            change({ $0.isBlocked = true }, false)
            after(length) { change({ $0.isBlocked = false }, false) }
        case .delay:
            self.note("delay \(one.name) \(other.name) for \(length / 1_000_000) ms")
            change({ $0.latencyMicroseconds = 1_000...400_000 }, true)
            after(length) {
                change(
                    { $0.latencyMicroseconds = self.network.standardLink.latencyMicroseconds }, true
                )
            }
        case .freezeNode:
            self.note("freeze \(node.name) for \(length / 1_000_000) ms")
            node.freeze(for: length)
        case .freezeRedis:
            self.note("freeze \(redis.name) for \(length / 1_000_000) ms")
            redis.freeze(for: length)
        case .killNode:
            guard node.isUp else { return }
            let losesPower = self.network.random.happens(perMille: 500)
            self.note("\(losesPower ? "power loss of" : "kill") \(node.name)")
            node.end(losesPower ? .powerLoss : .killed)
            after(length) { self.restart(node) }
        case .restartRedis:
            guard redis.isUp else { return }
            self.note("restart \(redis.name) after \(length / 2_000_000) ms")
            redis.end(.killed)
            after(length / 2) { self.restart(redis) }
        case .jumpClock:
            let jump = self.network.random.number(-5 * Self.second...5 * Self.second)
            self.note("clock of \(node.name) jumps \(jump / 1_000_000) ms")
            node.clockOffset += jump
        }
    }

    private func restart(_ host: SimulatedHost) {
        guard !host.isUp else { return }
        self.note("start \(host.name)")
        do {
            if self.redisHosts.contains(where: { $0 === host }) {
                try self.startRedis(host)
            } else {
                try self.startNode(host)
            }
        } catch {
            preconditionFailure("\(host.name) does not start: \(error)")
        }
    }

    /// Ends all faults.
    func heal() {
        self.note("heal")
        for one in self.network.hosts {
            for other in self.network.hosts { self.network[one, other] = self.network.standardLink }
        }
        for host in self.nodeHosts + self.redisHosts { self.restart(host) }
    }
}
