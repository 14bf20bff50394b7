import Bytes
import EventLoop
import SeededRandom
import StoreTestSupport
import Testing

@testable import Gateway

@Suite("A turn's frames of each connection")
struct ConnectionTableTests {
    private static func token(_ slot: Int, _ generation: UInt32 = 1) -> SocketToken {
        SocketToken(slot: UInt32(slot), generation: generation)
    }

    private static func table(of count: Int) -> ConnectionTable {
        var table = ConnectionTable()
        for slot in 0..<count {
            table.open(Self.token(slot), descriptor: Int32(slot), isTLS: false, at: 0)
        }
        return table
    }

    private static func frame(_ text: String) -> SharedFrame { SharedFrame(Array(text.utf8)) }

    /// All of a connection's frames of the turn, as text.
    private static func text(_ table: inout ConnectionTable, of slot: UInt32) -> String {
        guard table.hot[Int(slot)].frameCount > 0 else { return "" }
        var frames = table.dequeueFrames(of: slot)
        var text = ""
        while let number = table.next(of: &frames) {
            text += table.frames[number].withBytes { String(decoding: $0, as: UTF8.self) }
        }
        return text
    }

    private static func dirty(_ table: inout ConnectionTable) -> [UInt32] {
        var list: [UInt32] = [9, 9]
        table.drainDirty(into: &list)
        return list
    }

    @Test("are one run if all connections get the same frames")
    func run() {
        var table = Self.table(of: 3)
        for text in ["a", "b", "c"] {
            _ = table.broadcast(table.add(Self.frame(text)), to: [0, 2])
        }
        #expect(Self.dirty(&table) == [0, 2])
        guard case .run(0..<3) = table.dequeueFrames(of: 0) else {
            Issue.record("the frames of a listener of everything are no run")
            return
        }
        #expect(Self.text(&table, of: 2) == "abc")
        #expect(Self.text(&table, of: 1) == "")
        #expect(table.links.isEmpty)
    }

    @Test("keep their order with a reply between broadcasts")
    func linked() {
        var table = Self.table(of: 2)
        _ = table.broadcast(table.add(Self.frame("a")), to: [0, 1])
        table.queue(table.add(Self.frame("reply")), to: 1)
        _ = table.broadcast(table.add(Self.frame("b")), to: [0, 1])
        table.queue(table.add(Self.frame("!")), to: 0)
        #expect(Self.text(&table, of: 0) == "ab!")
        #expect(Self.text(&table, of: 1) == "areplyb")
        table.endTurn()
        #expect(table.links.isEmpty)
    }

    @Test("are removed when dequeued, and new ones may follow in the same turn")
    func dequeuedTwice() {
        var table = Self.table(of: 1)
        table.queue(table.add(Self.frame("a")), to: 0)
        _ = table.add(Self.frame("other"))
        table.queue(table.add(Self.frame("b")), to: 0)
        #expect(Self.text(&table, of: 0) == "ab")
        #expect(Self.text(&table, of: 0) == "")
        table.queue(table.add(Self.frame("c")), to: 0)
        #expect(Self.text(&table, of: 0) == "c")
        #expect(Set(Self.dirty(&table)) == [0])
        #expect(!table.isDirty)
    }

    @Test("do not reach a closed connection, nor the next one in its slot")
    func closed() {
        var table = Self.table(of: 2)
        table.queue(table.add(Self.frame("a")), to: 1)
        _ = table.add(Self.frame("x"))
        table.queue(table.add(Self.frame("b")), to: 1)
        table.close(1)
        table.queue(table.add(Self.frame("c")), to: 1)
        #expect(Self.text(&table, of: 1) == "")
        table.open(Self.token(1, 2), descriptor: 7, isTLS: true, at: 5)
        #expect(Self.text(&table, of: 1) == "")
        #expect(table.hot[1].lastReceivedTick == 5)
        #expect(
            table.isOpen(Self.token(1, 2)) && !table.isOpen(Self.token(1))
                && !table.isOpen(Self.token(99)))
        #expect(table.hot[1].flags == [.isOpen, .isTLS])
        table.close(1)
        #expect(!table.isOpen(Self.token(1, 2)))
    }

    @Test("go to all, to other users, or to one user's connections")
    func recipients() {
        var table = Self.table(of: 4)
        for (slot, user) in [7, 8, 7, UserTable.noUser].enumerated() {
            table.hot[slot].user = UInt32(user)
        }
        #expect(table.broadcast(table.add(Self.frame("all ")), to: [0, 1, 2, 3]) == 0)
        #expect(
            table.broadcast(table.add(Self.frame("others ")), to: [0, 1, 2, 3], .allExceptUser(7))
                == 0)
        #expect(
            table.broadcast(table.add(Self.frame("own ")), to: [0, 1, 2, 3], .onlyUser(7)) == 0)
        #expect(
            (0..<4).map { Self.text(&table, of: $0) } == [
                "all own ", "all others ", "all own ", "all others ",
            ])
    }

    @Test(
        "skip connections that are behind, and report how many",
        arguments: [.all, .allExceptUser(1), .onlyUser(0)] as [ConnectionTable.Recipients])
    func behind(recipients: ConnectionTable.Recipients) {
        var table = Self.table(of: 3)
        for slot in 0..<3 { table.hot[slot].user = 0 }
        table.hot[0].pendingBytes = 101
        table.hot[2].pendingBytes = 100
        #expect(
            table.broadcast(
                table.add(Self.frame("typing")), to: [0, 1, 2], recipients, unlessPendingAbove: 100)
                == 1)
        #expect((0..<3).map { Self.text(&table, of: $0) } == ["", "typing", "typing"])
    }

    @Test(
        "equal a list for each connection after any operations",
        arguments: 0..<20 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let count = 12
        var table = Self.table(of: count)
        var lists = [String](repeating: "", count: count)
        var isOpen = [Bool](repeating: true, count: count)
        for step in 0..<2000 {
            switch Int.random(in: 0..<20, using: &generator) {
            case 0..<8:
                let members = (0..<UInt32(count)).filter { _ in Bool.random(using: &generator) }
                    .shuffled(using: &generator)
                _ = table.broadcast(table.add(Self.frame("\(step),")), to: members)
                for member in members where isOpen[Int(member)] { lists[Int(member)] += "\(step)," }
            case 8..<14:
                let slot = Int.random(in: 0..<count, using: &generator)
                table.queue(table.add(Self.frame("\(step);")), to: UInt32(slot))
                if isOpen[slot] { lists[slot] += "\(step);" }
            case 14..<17:
                let slot = Int.random(in: 0..<count, using: &generator)
                #expect(Self.text(&table, of: UInt32(slot)) == lists[slot])
                lists[slot] = ""
            case 17:
                let slot = Int.random(in: 0..<count, using: &generator)
                if isOpen[slot] {
                    table.close(slot)
                } else {
                    table.open(Self.token(slot), descriptor: 1, isTLS: false, at: 0)
                }
                isOpen[slot].toggle()
                lists[slot] = ""
            default:
                let dirty = Set(Self.dirty(&table))
                for slot in 0..<count where !lists[slot].isEmpty {
                    #expect(dirty.contains(UInt32(slot)))
                }
                for slot in 0..<count {
                    #expect(Self.text(&table, of: UInt32(slot)) == lists[slot])
                    lists[slot] = ""
                }
                table.endTurn()
                #expect(table.links.isEmpty)
            }
        }
    }
}
