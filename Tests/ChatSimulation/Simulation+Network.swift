import ChatCore
import ChatEngine
import ChatModel
import SeededRandom

/// The network: it rarely loses envelopes within a node, and often between nodes.
extension Simulation {
    func send(_ envelope: Envelope) {
        guard let from = self.loopNumbers[envelope.from], let to = self.loopNumbers[envelope.to]
        else { return }
        let (fromNode, toNode) = (self.loops[from].node, self.loops[to].node)
        if self.cutNodePairs.contains([fromNode, toNode]) {
            self.logLost(envelope, "link cut")
            return
        }
        let isNear = fromNode == toNode
        if !self.isCalm,
            self.now >= self.calm - self.parameters.silenceBeforeCalm
        {
            self.logLost(envelope, "lost in the silence")
            return
        }
        let lost = self.isCalm ? 0 : isNear ? self.parameters.lost / 20 : self.parameters.lost
        if self.random.happens(perMille: lost) {
            self.logLost(envelope, "lost")
            return
        }
        let delay = isNear ? 0...1 : self.parameters.delay
        var time = max(self.now + self.random.number(delay), self.arrivals[[from, to]] ?? 0)
        self.arrivals[[from, to]] = time
        if !self.isCalm, !isNear, self.random.happens(perMille: self.parameters.delayed) {
            // It arrives after envelopes that were sent later.
            time += self.random.number(1...500)
        }
        self.queue.add(.arrive(envelope), at: time)
        if !self.isCalm, !isNear, self.random.happens(perMille: self.parameters.duplicated) {
            self.queue.add(.arrive(envelope), at: time + self.random.number(0...200))
        }
    }

    private func logLost(_ envelope: Envelope, _ how: String) {
        self.log("net: \(how): \(envelope.summary)")
    }

    func arrive(_ envelope: Envelope) {
        guard let number = self.loopNumbers[envelope.to], !self.loops[number].isDead else { return }
        if !envelope.items.isEmpty { self.log("net: \(envelope.summary)") }
        self.loops[number].chat.receive(envelope, at: self.clock(of: number))
        self.scheduleTurn(number)
    }
}

extension Envelope {
    var summary: String {
        "\(self.from) → \(self.to) №\(self.number)"
            + (self.items.isEmpty
                ? " tick" : ": " + self.items.map(\.summary).joined(separator: ", "))
    }
}

extension Envelope.Item {
    var summary: String {
        switch self {
        case .input(let input):
            "\(input.input.summary) #\(input.request.rawValue & 0xFFFF)"
                + (input.isRetry ? " retry" : "")
        case .answer(let request, let answer, _):
            "answer #\(request.rawValue & 0xFFFF) \(answer.summary)"
        case .notOwner(let request): "not owner #\(request.rawValue & 0xFFFF)"
        case .event(let notification): "\(notification.event.summary) r\(notification.revision)"
        case .reattach(let key): "reattach \(key.id)"
        case .resynchronize: "resynchronize"
        case .recoveryQuery(let key): "recovery query \(key.id)"
        }
    }
}
