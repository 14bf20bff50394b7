import EngineIO
import Testing

@testable import EngineTransport

@Suite("The location of an Engine.IO session")
struct EngineSessionAddressTests {
    @Test(
        "is part of its id",
        arguments: [(0, 0), (1, 3), (35, 7), (.max, 255)] as [(UInt64, Int)])
    func roundTrip(node: UInt64, loop: Int) throws {
        let id = EngineSessionAddress.makeID(node: node, loop: loop, random: (1, 2))
        let address = try #require(EngineSessionAddress(id))
        #expect(address.node == node && Int(address.loop) == loop)
        // A client that knows the location must not know the id.
        #expect(id != EngineSessionAddress.makeID(node: node, loop: loop, random: (1, 3)))
        #expect(id.text.hasSuffix("." + EngineSessionID(random: (1, 2)).text))
    }

    @Test(
        "is unknown for an id that no node has made",
        arguments: [
            ("z.3.x", true), ("Z.3.x", true), ("z.3", false), ("z.3.x.y", false), ("z..x", false),
            (".3.x", false), ("z.-1.x", false), ("z.q.x", false), ("-.3.x", false),
            ("3w5e11264sgsg.3.x", false), ("x", false),
        ])
    func foreign(id: String, isValid: Bool) throws {
        #expect((EngineSessionAddress(try #require(EngineSessionID(named: id))) != nil) == isValid)
    }
}
