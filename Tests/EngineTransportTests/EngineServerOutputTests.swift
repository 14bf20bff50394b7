import EngineIO
import EventLoop
import Testing

@testable import EngineTransport

@Suite("Frames to a polling client, and messages that wait")
struct EngineServerOutputTests {
    // MARK: Frames

    @Test("are accepted up to a quarter of a mebibyte, and again after a poll")
    func bounds() {
        var driver = EngineServerDriver(settings: EngineSettings(answerBytes: 100_000))
        let id = driver.openPolling()
        let long = String(repeating: "x", count: 150_000)
        #expect(driver.write(long) && driver.write(long))
        #expect(driver.write("4a") == false)
        // A companion is accepted, because it must travel with the packet before it.
        #expect(driver.write("4b", staysWithPrevious: true) == true)
        #expect(driver.write("4c") == false)
        #expect(driver.poll(id, 1) == ["respond 1: \(long)", "resume 100"])
        #expect(driver.write("4d") == true)
        #expect(driver.poll(id, 2) == ["respond 2: \(long) + 4b", "resume 100"])
        // One frame of any size is accepted if nothing waits.
        #expect(driver.poll(id, 3) == ["respond 3: 4d", "resume 100"])
        #expect(driver.write(long + long) && !driver.write("4e"))
    }

    @Test("stay together with the one before them")
    func pairs() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        for number in 1...3 { #expect(driver.write("4\(number)") == true) }
        #expect(driver.write("44") && driver.write("45", staysWithPrevious: true))
        #expect(driver.poll(id, 1) == ["respond 1: 41 + 42 + 43", "resume 100"])
        #expect(driver.poll(id, 2) == ["respond 2: 44 + 45", "resume 100"])
    }

    @Test("are flushed for every session that was written to, once")
    func flush() {
        var driver = EngineServerDriver()
        let first = driver.openPolling(100)
        let second = driver.openPolling(101)
        _ = driver.poll(first, 1) + driver.poll(second, 2)
        _ = driver.write("4a", to: 100)
        _ = driver.write("4b", to: 101)
        _ = driver.write("4c", to: 100)
        #expect(
            driver.flush() == [
                "respond 1: 4a + 4c", "resume 100", "respond 2: 4b", "resume 101",
            ])
        #expect(driver.updates == 2)
        _ = driver.poll(first, 3)
        _ = driver.write("4d", to: 100)
        #expect(driver.flush() == ["respond 3: 4d", "resume 100"])
    }

    @Test("answer the poll at once if the queue is full, and end the session if none waits")
    func fullQueue() {
        var driver = EngineServerDriver(
            settings: EngineSettings(answerPackets: 2, queuedPackets: 3))
        let id = driver.openPolling()
        _ = driver.poll(id, 1)
        for number in 1...4 { #expect(driver.write("4\(number)") == true) }
        // The directives of a write follow with the flush, which comes after all writes.
        #expect(driver.flush() == ["respond 1: 41 + 42", "resume 100"])
        #expect(driver.write("45") && driver.write("46"))
        #expect(driver.flush() == ["end 100: 1013"])
        #expect(driver.write("47") == true)
        #expect(driver.flush() == [])
    }

    @Test("end the session after the packets before a close frame, with the next poll")
    func closeFrame() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        #expect(driver.write("4a") && driver.writeClose(code: 4401) && driver.write("4b"))
        #expect(driver.flush() == [])
        #expect(
            driver.poll(id, 1) == ["respond 1: 4a + 1", "resume 100", "end 100: 4401"])

        // A waiting poll gets it with the flush.
        var other = EngineServerDriver()
        let otherID = other.openPolling()
        _ = other.poll(otherID, 1)
        #expect(other.writeClose(code: 1012) && other.server.needsFlush)
        #expect(other.flush() == ["respond 1: 400 Session ID unknown", "end 100: 1012"])
        #expect(other.post(otherID, 2, "6") == ["respond 2: 400 Session ID unknown, close"])
    }

    @Test("end the session when no poll fetches the packets before a close frame")
    func closeTimeout() {
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        _ = driver.writeClose(code: 4401)
        _ = driver.flush()
        #expect(driver.tick(after: 9_999) == [])
        #expect(driver.tick(after: 1) == ["end 100: 4401"])
    }

    @Test("are rejected without the session")
    func unknownSession() {
        var driver = EngineServerDriver()
        #expect(driver.write("4a") == false)
        #expect(!driver.server.needsFlush && !driver.server.hasWaitingPackets(SocketToken(100)))
    }

    @Test("wait for a ping's answer as for a message: pings come with a poll")
    func pings() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        #expect(driver.tick(after: 299_999) == [])
        #expect(driver.tick(after: 1) == [])
        #expect(driver.poll(id, 1) == ["respond 1: 2", "resume 100"])
        #expect(driver.post(id, 2, "3").last == "respond 2: ok")
        #expect(driver.server.deadline(SocketToken(100)) == 601_000)
        _ = driver.poll(id, 3)
        #expect(driver.tick(after: 300_000) == ["respond 3: 2", "resume 100"])
        #expect(driver.tick(after: 200) == ["end 100: 1001"])
    }

    // MARK: Messages that wait

    @Test("are read in order when reading resumes")
    func unread() {
        var driver = EngineServerDriver()
        _ = driver.openPolling()
        let session = SocketToken(100)
        func retain(_ text: String, isReadingPaused: Bool) -> Bool {
            driver.server.retainUnread(
                Array(text.utf8)[...], of: session, isReadingPaused: isReadingPaused)
        }
        #expect(!retain("a", isReadingPaused: false) && !driver.server.hasUnread(session))
        #expect(retain("b", isReadingPaused: true) && driver.server.hasUnread(session))
        // It must not overtake the message before it.
        #expect(retain("c", isReadingPaused: false) && retain("d", isReadingPaused: false))
        let removed = driver.server.removeUnread(of: session)
        #expect(removed == ["b", "c", "d"].map { Array($0.utf8) })
        #expect(!driver.server.hasUnread(session))
        // Reading was paused again after the first one.
        driver.server.returnUnread(removed[1...], to: session)
        #expect(retain("e", isReadingPaused: true))
        #expect(
            driver.server.removeUnread(of: session) == ["c", "d", "e"].map { Array($0.utf8) })
        #expect(driver.server.sessions[session]?.unreadBytes == 0)
    }

    @Test("are bounded: a client whose messages wait may send one more payload")
    func unreadBounds() {
        var driver = EngineServerDriver()
        let id = driver.openPolling()
        let session = SocketToken(100)
        func retain(_ count: Int) {
            _ = driver.server.retainUnread(
                [UInt8](repeating: 0x34, count: count)[...], of: session, isReadingPaused: true)
        }
        retain(30)
        #expect(driver.postHead(id, 1, bytes: 30) == ["receive body 1"])
        #expect(driver.body("6", 1) == ["control 100", "respond 1: ok"])
        retain(1)
        #expect(driver.postHead(id, 2, bytes: 1) == ["respond 2: 413 Payload too large, close"])
        #expect(
            driver.ask("post", 9, "6") == [
                "to 9.2: answer #9 refused\n413 3 close", "resume 100",
            ])
        let removed = driver.server.removeUnread(of: session)
        #expect(driver.postHead(id, 3, bytes: 1) == ["receive body 3"])
        #expect(driver.body("6", 3) == ["control 100", "respond 3: ok"])
        driver.server.returnUnread(removed[...], to: session)
        #expect(driver.postHead(id, 4, bytes: 1) == ["respond 4: 413 Payload too large, close"])
    }
}
