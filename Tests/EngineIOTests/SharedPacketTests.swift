import Bytes
import EngineIO
import Testing

@Suite("A packet in a shared frame")
struct SharedPacketTests {
    private static func text(_ packet: SharedPacket) -> String {
        packet.withBytes { String(decoding: $0, as: UTF8.self) }
    }

    @Test(
        "has the bytes from its offset to the end of the frame",
        arguments: [(0, "ab4x"), (2, "4x"), (4, "")])
    func offset(_ offset: Int, _ text: String) {
        let packet = SharedPacket(SharedFrame(Array("ab4x".utf8)), from: offset)
        #expect(Self.text(packet) == text)
        #expect(packet.count == text.utf8.count)
    }

    @Test("travels without the bytes before it, over polling and over a WebSocket")
    func transports() throws {
        let id = EngineSessionID(random: (1, 2))
        var steps = EngineSteps()
        var polling = EngineSession(
            id, EngineSettings(), openedBy: EngineRequestID(1), at: 0, into: &steps)
        steps.removeAll()
        let frame = SharedFrame([0x81, 2] + Array("4x".utf8))
        polling.send(SharedPacket(frame, from: 2), into: &steps)
        polling.send(companion: SharedPacket(frame, from: 3), into: &steps)
        #expect(polling.waitingBytes == 3)
        polling.poll(EngineRequestID(2), at: 0, into: &steps)
        #expect(steps.text.text == "4x\u{1E}x")

        var open = EngineSession(id, EngineSettings(), movedTo: EngineSocketID(1), at: 0)
        open.send(SharedPacket(frame, from: 2), into: &steps)
        guard case .send(let packet, EngineSocketID(1))? = steps.list.last else {
            Issue.record("nothing was sent")
            return
        }
        #expect(Self.text(packet) == "4x")
    }
}
