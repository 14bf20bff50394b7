import EngineIO
import Testing

extension EngineSessionTests {
    /// What the client receives of an answer, and how its polling session ends.
    @Suite("The answer to a poll")
    struct Polls {
        @Test("is repeated with what has come since, while polls have the same mark")
        func sameMark() {
            var driver = EngineSessionDriver()
            _ = driver.send("4a")
            #expect(driver.poll(1, provenBy: .otherMark(7)) == [.payload(1, "4a")])
            _ = driver.send("4b")
            #expect(driver.poll(2, provenBy: .otherMark(7)) == [.payload(2, "4a\u{1E}4b")])
            #expect(driver.poll(3, provenBy: .otherMark(7)) == [.payload(3, "4a\u{1E}4b")])
            #expect(driver.poll(4, provenBy: .otherMark(8)) == [])
            _ = driver.send("4c")
            #expect(driver.flush() == [.payload(4, "4c")])
            // A client that has no marks, or none any more, has received what was answered.
            #expect(driver.poll(5) == [])
        }

        @Test("is repeated three times at most, and never on the connection that got it")
        func equalMarks() {
            var driver = EngineSessionDriver()
            _ = driver.send("4a")
            for request in 1...4 {
                #expect(
                    driver.poll(request, provenBy: .otherMark(7)) == [.payload(request, "4a")])
            }
            #expect(driver.poll(5, provenBy: .otherMark(7)) == [])
            var other = EngineSessionDriver()
            _ = other.send("4a")
            _ = other.poll(1, provenBy: .otherMark(7))
            #expect(other.poll(1, provenBy: .otherMark(7)) == [])
        }

        @Test("goes to a repeated poll, and the poll that waited gets none")
        func waiting() {
            var driver = EngineSessionDriver()
            #expect(driver.poll(1, provenBy: .otherMark(7)) == [])
            #expect(driver.poll(2, provenBy: .otherMark(7)) == [.payload(1, "6")])
            #expect(driver.pollAborted(1) == [])
            _ = driver.send("4a")
            #expect(driver.flush() == [.payload(2, "4a")])
            _ = driver.poll(3, provenBy: .otherMark(8))
            #expect(
                driver.poll(4, provenBy: .otherMark(9)) == [
                    .refused(4, .badRequest), .payload(3, "1"), .closed(.secondPoll),
                ])
        }

        @Test("is repeated after half a second if nobody has reported its arrival")
        func missingReport() {
            var driver = EngineSessionDriver()
            _ = driver.send("4a")
            #expect(driver.poll(1, provenBy: .report) == [.payload(1, "4a")])
            #expect(driver.poll(2) == [])
            _ = driver.send("4b")
            #expect(driver.flush() == [] && driver.session.deadline == 300)
            _ = driver.tick(at: 499)
            #expect(driver.session.deadline == 500)
            #expect(driver.tick(at: 500) == [.payload(2, "4a\u{1E}4b\u{1E}2")])
        }

        @Test("is not repeated if its arrival is reported, before the next poll or after it")
        func reports() {
            for isLate in [true, false] {
                var driver = EngineSessionDriver()
                _ = driver.send("4a")
                #expect(driver.poll(1, provenBy: .report) == [.payload(1, "4a")])
                _ = driver.send("4b")
                #expect(driver.answerArrived(0) == [])
                if isLate {
                    #expect(driver.poll(2, provenBy: .report) == [])
                    #expect(driver.answerArrived(1) == [.payload(2, "4b")])
                } else {
                    #expect(driver.answerArrived(1) == [])
                    #expect(driver.poll(2, provenBy: .report) == [.payload(2, "4b")])
                }
            }
        }

        @Test("is not lost when the session closes while a report is missing")
        func closing() {
            var driver = EngineSessionDriver()
            _ = driver.send("4a")
            _ = driver.poll(1, provenBy: .report)
            #expect(driver.poll(2, provenBy: .report) == [])
            #expect(driver.close(code: 1012) == [.payload(2, "4a")])
            #expect(
                driver.poll(3) == [
                    .refused(3, .unknownSession), .closed(.byServer(code: 1012)),
                ])
        }

        @Test(
            "is what is queued, and then that the session is unknown, if the client may come back",
            arguments: [1001, 1011, 1012, 1013])
        func temporaryEnd(_ code: UInt16) {
            var driver = EngineSessionDriver(settings: EngineSettings(answerPackets: 2))
            for packet in ["4a", "4b", "4c"] { _ = driver.send(packet) }
            #expect(driver.close(code: code) == [])
            #expect(driver.poll(1, provenBy: .otherMark(1)) == [.payload(1, "4a\u{1E}4b")])
            #expect(driver.poll(2, provenBy: .otherMark(2)) == [.payload(2, "4c")])
            #expect(driver.poll(3, provenBy: .otherMark(2)) == [.payload(3, "4c")])
            let closed = RecordedEngineStep.closed(.byServer(code: code))
            #expect(
                driver.poll(4, provenBy: .otherMark(3)) == [.refused(4, .unknownSession), closed])

            var waiting = EngineSessionDriver()
            _ = waiting.poll(1)
            #expect(waiting.close(code: code) == [.refused(1, .unknownSession), closed])
        }

        @Test("ends with a close packet if the client may not come back", arguments: [1002, 4401])
        func finalEnd(_ code: UInt16) {
            var driver = EngineSessionDriver()
            _ = driver.send("4a")
            _ = driver.close(code: code)
            #expect(
                driver.poll(1) == [.payload(1, "4a\u{1E}1"), .closed(.byServer(code: code))])
            var waiting = EngineSessionDriver()
            _ = waiting.poll(1)
            #expect(
                waiting.close(code: code) == [.payload(1, "1"), .closed(.byServer(code: code))])
        }

        @Test("is that the session is unknown if no pong has come")
        func pingTimeout() {
            var driver = EngineSessionDriver()
            _ = driver.tick(at: 300)
            #expect(driver.poll(1) == [.payload(1, "2")])
            #expect(driver.poll(2) == [])
            #expect(
                driver.tick(at: 500) == [.refused(2, .unknownSession), .closed(.pingTimeout)])
        }
    }
}
