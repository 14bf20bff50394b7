import ChatModel
import Testing

@testable import ChatEngine

@Suite("A peer loop")
struct PeerLoopTests {
    private func envelope(_ number: UInt64, isTick: Bool = false) -> Envelope {
        Envelope(
            from: .far, to: .near, number: number, view: 1, items: isTick ? [] : [.resynchronize])
    }

    private func classify(_ envelopes: Envelope...) -> [PeerLoop.Arrival] {
        var peer = PeerLoop(id: .far)
        return envelopes.map { peer.recordArrival($0) }
    }

    @Test("numbers envelopes 1, 2, 3, and sends none without items")
    func numbering() {
        var peer = PeerLoop(id: .far)
        #expect(peer.seal(from: .near, view: 1).envelope == nil)
        for number in 1...3 as ClosedRange<UInt64> {
            peer.items.append(.resynchronize)
            let envelope = peer.seal(from: .near, view: 1).envelope
            #expect(envelope?.number == number)
            #expect(envelope?.from == .near)
            #expect(envelope?.to == .far)
            #expect(envelope?.items.count == 1)
            #expect(peer.seal(from: .near, view: 1).envelope == nil)
        }
    }

    @Test("repeats the last number in a tick, and sends no tick before the first envelope")
    func ticking() {
        var peer = PeerLoop(id: .far)
        #expect(peer.tick(from: .near, view: 1) == nil)
        peer.items.append(.resynchronize)
        _ = peer.seal(from: .near, view: 1)
        for _ in 0..<2 {
            let tick = peer.tick(from: .near, view: 1)
            #expect(tick?.number == 1)
            #expect(tick?.items.isEmpty == true)
        }
        peer.items.append(.resynchronize)
        #expect(peer.seal(from: .near, view: 1).envelope?.number == 2)
    }

    @Test("accepts consecutive envelopes as next")
    func inOrder() {
        #expect(
            self.classify(self.envelope(1), self.envelope(2), self.envelope(3)) == [
                .next, .next, .next,
            ])
    }

    @Test("detects a gap once")
    func gap() {
        #expect(
            self.classify(self.envelope(1), self.envelope(4), self.envelope(5)) == [
                .next, .gap, .next,
            ])
    }

    @Test("detects a gap if the first number is not 1")
    func firstNumberMissed() {
        #expect(self.classify(self.envelope(7)) == [.gap])
    }

    @Test("accepts an envelope once, and treats an overtaken one as lost")
    func duplicates() {
        #expect(
            self.classify(self.envelope(1), self.envelope(1), self.envelope(3), self.envelope(2))
                == [.next, .duplicate, .gap, .duplicate])
    }

    @Test("detects the loss of the last envelope by a tick")
    func lostLastEnvelope() {
        #expect(
            self.classify(self.envelope(1), self.envelope(2, isTick: true), self.envelope(3)) == [
                .next, .gap, .next,
            ])
    }

    @Test("ignores a tick that repeats a known number, or is late")
    func repeatedTick() {
        #expect(
            self.classify(
                self.envelope(1), self.envelope(2), self.envelope(2, isTick: true),
                self.envelope(1, isTick: true))
                == [.next, .next, .duplicate, .duplicate])
    }
}
