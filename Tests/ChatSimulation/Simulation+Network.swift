import ChatModel
import Cluster
import RepeatableChance

/// The way between loops: within a node it hardly ever loses anything, between nodes it does what networks do.
extension Simulation {
    func send(_ envelope: Envelope) {
        guard let from = self.loopNumbers[envelope.from], let to = self.loopNumbers[envelope.to] else { return }
        let (fromNode, toNode) = (self.loops[from].node, self.loops[to].node)
        if self.cutPairs.contains([fromNode, toNode]) {
            self.tellLost(envelope, "cut off")
            return
        }
        let isNear = fromNode == toNode
        if !self.isCalm, self.now >= self.start + self.circumstances.calmFrom - self.circumstances.silence {
            self.tellLost(envelope, "lost in the silence")
            return
        }
        let lost = self.isCalm ? 0 : isNear ? self.circumstances.lost / 20 : self.circumstances.lost
        if self.chance.happens(perMille: lost) {
            self.tellLost(envelope, "lost")
            return
        }
        let delay = isNear ? 0...1 : self.circumstances.delay
        var time = max(self.now + self.chance.number(delay), self.arrivals[[from, to]] ?? 0)
        self.arrivals[[from, to]] = time
        if !self.isCalm, !isNear, self.chance.happens(perMille: self.circumstances.heldUp) {
            // It comes after others that were sent later.
            time += self.chance.number(1...500)
        }
        self.agenda.add(.arrive(envelope), at: time)
        if !self.isCalm, !isNear, self.chance.happens(perMille: self.circumstances.doubled) {
            self.agenda.add(.arrive(envelope), at: time + self.chance.number(0...200))
        }
    }

    private func tellLost(_ envelope: Envelope, _ how: String) {
        self.tell("net: \(how): \(envelope.told)")
    }

    func arrive(_ envelope: Envelope) {
        guard let number = self.loopNumbers[envelope.to], !self.loops[number].isDead else { return }
        if !envelope.items.isEmpty { self.tell("net: \(envelope.told)") }
        self.loops[number].chat.receive(envelope, at: self.moment(of: number))
        self.wantTurn(number)
    }
}

extension Envelope {
    var told: String {
        "\(self.from) → \(self.to) №\(self.number)" + (self.items.isEmpty ? " tick" : ": " + self.items.map(\.told).joined(separator: ", "))
    }
}

extension Envelope.Item {
    var told: String {
        switch self {
        case .input(let input):
            "\(input.input.told) #\(input.request & 0xFFFF)\(input.isRepeat ? " again" : "")"
        case .answer(let request, let answer, _): "answer #\(request & 0xFFFF) \(answer.told)"
        case .moved(let request): "moved #\(request & 0xFFFF)"
        case .event(let news): "\(news.event.told) r\(news.revision)"
        case .attachAgain(let key): "attach \(key.id) again"
        case .resynchronize: "resynchronize"
        case .wanted(let key): "who holds \(key.id)"
        }
    }
}
