import ChatModel
import Testing

@testable import Cluster

@Suite("A peer")
struct PeerLoopTests {
    private func envelope(_ number: UInt64, isTick: Bool = false) -> Envelope {
        Envelope(
            from: .far, to: .near, number: number, view: 1, items: isTick ? [] : [.resynchronize])
    }

    private func classify(_ envelopes: Envelope...) -> [PeerLoop.Arrival] {
        var peer = PeerLoop(id: .far)
        return envelopes.map { peer.recordArrival($0) }
    }

    @Test("numbers what leaves 1, 2, 3, and sends nothing where nothing has gathered")
    func numbering() {
        var peer = PeerLoop(id: .far)
        #expect(peer.seal(from: .near, view: 1).mail == nil)
        for number in 1...3 as ClosedRange<UInt64> {
            peer.items.append(.resynchronize)
            let envelope = peer.seal(from: .near, view: 1).mail
            #expect(envelope?.number == number)
            #expect(envelope?.from == .near)
            #expect(envelope?.to == .far)
            #expect(envelope?.items.count == 1)
            #expect(peer.seal(from: .near, view: 1).mail == nil)
        }
    }

    @Test("repeats in a tick the last number, takes none for it, and is silent before the first")
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
        #expect(peer.seal(from: .near, view: 1).mail?.number == 2)
    }

    @Test("takes envelopes that follow each other as the next")
    func inOrder() {
        #expect(
            self.classify(self.envelope(1), self.envelope(2), self.envelope(3)) == [
                .next, .next, .next,
            ])
    }

    @Test("sees a gap where a number is left out, once")
    func gap() {
        #expect(
            self.classify(self.envelope(1), self.envelope(4), self.envelope(5)) == [
                .next, .gap, .next,
            ])
    }

    @Test("sees a gap where the first number it meets is not 1")
    func firstNumberMissed() {
        #expect(self.classify(self.envelope(7)) == [.gap])
    }

    @Test("takes an envelope once, and counts one that was overtaken as lost")
    func duplicates() {
        #expect(
            self.classify(self.envelope(1), self.envelope(1), self.envelope(3), self.envelope(2))
                == [.next, .duplicate, .gap, .duplicate])
    }

    @Test("sees by a tick that the last envelope never came")
    func lostLastEnvelope() {
        #expect(
            self.classify(self.envelope(1), self.envelope(2, isTick: true), self.envelope(3)) == [
                .next, .gap, .next,
            ])
    }

    @Test("has nothing to do for a tick that repeats what has come, or is late")
    func repeatedTick() {
        #expect(
            self.classify(
                self.envelope(1), self.envelope(2), self.envelope(2, isTick: true),
                self.envelope(1, isTick: true))
                == [.next, .next, .duplicate, .duplicate])
    }
}
