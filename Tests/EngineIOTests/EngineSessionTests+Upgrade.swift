import Bytes
import EngineIO
import Testing

/// The upgrade, the heartbeat and closing.
extension EngineSessionTests {
    @Test("releases a waiting poll when a WebSocket probes, and further polls every 100 ms")
    func pollReleaseDuringProbe() {
        var driver = EngineSessionDriver()
        _ = driver.poll(1)
        #expect(driver.openSocket(1) == [])
        #expect(driver.session.deadline == 300)
        #expect(driver.receive("2probe", on: 1) == [.sent(1, "3probe"), .payload(1, "6")])
        #expect(driver.poll(2) == [])
        #expect(driver.session.deadline == 100)
        #expect(driver.tick(at: 99) == [])
        #expect(driver.tick(at: 100) == [.payload(2, "6")])
        #expect(driver.session.deadline == 300)
        driver.now = 200
        #expect(driver.poll(3) == [.payload(3, "6")])
    }

    @Test("puts packets of the same turn into the poll that it releases")
    func pollReleaseWithPackets() {
        var driver = EngineSessionDriver()
        _ = driver.poll(1)
        _ = driver.openSocket(1)
        _ = driver.send("4a")
        #expect(driver.receive("2probe", on: 1) == [.sent(1, "3probe"), .payload(1, "4a")])
        #expect(driver.poll(2) == [.payload(2, "6")])
        _ = driver.poll(3)
        _ = driver.send("4b")
        #expect(driver.tick(at: 100) == [.payload(3, "4b")])
    }

    @Test("continues to poll while a WebSocket probes, and then sends it the rest in order")
    func pollingDuringProbe() {
        var driver = EngineSessionDriver()
        _ = driver.poll(1)
        _ = driver.openSocket(1)
        _ = driver.send("4a")
        #expect(driver.flush() == [.payload(1, "4a")])
        _ = driver.receive("2probe", on: 1)
        _ = driver.send("4b")
        #expect(driver.poll(2) == [.payload(2, "4b")])
        #expect(driver.post(3, "4c") == [.message("c"), .accepted(3)])
        for packet in ["4d", "4e"] { #expect(driver.send(packet) == []) }
        #expect(driver.send("4f", with: "4g") == [])
        #expect(
            driver.receive("5", on: 1) == [
                .sent(1, "4d"), .sent(1, "4e"), .sent(1, "4f"), .sent(1, "4g"), .upgraded(1),
            ])
        #expect(driver.send("4h", with: "4i") == [.sent(1, "4h"), .sent(1, "4i")])
        #expect(driver.session.socket == EngineSocketID(1))
    }

    @Test("answers open requests at the upgrade: the poll without packets, the POST with a refusal")
    func upgradeWithOpenRequests() {
        var driver = EngineSessionDriver()
        _ = driver.openSocket(1)
        _ = driver.receive("2probe", on: 1)
        #expect(driver.poll(1) == [.payload(1, "6")])
        #expect(driver.poll(2) == [])
        #expect(driver.postBegan(3) == [])
        #expect(
            driver.receive("5", on: 1) == [
                .payload(2, "6"), .refused(3, .badRequest), .upgraded(1),
            ])
        #expect(driver.postEnded(3, "4late") == [])
        #expect(driver.pollAborted(2) == [])
    }

    @Test("continues to poll when the WebSocket fails during the probe, and lets another one try")
    func probeSocketLost() {
        for script in [[], ["2probe"]] {
            var driver = EngineSessionDriver()
            _ = driver.poll(1)
            _ = driver.openSocket(1)
            for frame in script { _ = driver.receive(frame, on: 1) }
            #expect(driver.socketClosed(1) == [])
            #expect(driver.receive("5", on: 1) == [])
            _ = driver.send("4a")
            #expect(
                driver.flush() + driver.poll(2)
                    == (script.isEmpty ? [.payload(1, "4a")] : [.payload(2, "4a")]))
            #expect(driver.openSocket(2) == [])
            #expect(driver.receive("2probe", on: 2).first == .sent(2, "3probe"))
        }
    }

    @Test(
        "closes a WebSocket that probes with another packet, and continues to poll",
        arguments: ["", "2", "2prob", "2probes", "4a", "5", "1", "3probe", "é"])
    func malformedProbe(_ frame: String) {
        var driver = EngineSessionDriver()
        _ = driver.openSocket(1)
        #expect(driver.receive(frame, on: 1) == [.closedSocket(1, 1002)])
        #expect(driver.receive("2probe", on: 1) == [])
        #expect(driver.post(1, "4a") == [.message("a"), .accepted(1)])
    }

    @Test(
        "closes a WebSocket that does not upgrade after its probe, and continues to poll",
        arguments: ["", "2probe", "4a", "5x", "6", "1"])
    func malformedUpgrade(_ frame: String) {
        var driver = EngineSessionDriver()
        _ = driver.openSocket(1)
        _ = driver.receive("2probe", on: 1)
        #expect(driver.receive(frame, on: 1) == [.closedSocket(1, 1002)])
        #expect(driver.socketClosed(1) == [])
        #expect(driver.poll(1) == [])
    }

    @Test(
        "closes a WebSocket that probes in binary, a second concurrent one, and one that times out"
    )
    func rejectedProbes() {
        var driver = EngineSessionDriver(settings: EngineSettings(upgradeTimeout: 100))
        _ = driver.openSocket(1)
        #expect(driver.openSocket(2) == [.closedSocket(2, 1008)])
        #expect(driver.receiveBinary(on: 2) == [])
        #expect(driver.receiveBinary(on: 1) == [.closedSocket(1, 1002)])
        #expect(driver.openSocket(3) == [])
        #expect(driver.session.deadline == 100)
        #expect(driver.tick(at: 100) == [.closedSocket(3, 1008)])
        #expect(driver.session.socket == nil && driver.session.closure == nil)
    }

    // MARK: Heartbeat

    @Test("ignores an unsolicited pong")
    func unsolicitedPong() {
        var driver = EngineSessionDriver()
        driver.now = 200
        #expect(driver.post(1, "3") == [.accepted(1)])
        #expect(driver.session.deadline == 300)
        #expect(driver.session.roundTrip == nil)
    }

    @Test("accepts a late pong before the tick, and starts a ping timeout when the ping is sent")
    func latePong() {
        var driver = EngineSessionDriver(onSocket: 1)
        #expect(driver.tick(at: 10_000) == [.sent(1, "2")])
        #expect(driver.session.deadline == 10_200)
        driver.now = 90_000
        #expect(driver.receive("3", on: 1) == [])
        #expect(driver.session.roundTrip == 80_000)
        #expect(driver.tick() == [])
        #expect(driver.session.deadline == 90_300)
    }

    @Test("keeps a ping for the next poll, even across an upgrade")
    func queuedPing() {
        var driver = EngineSessionDriver()
        #expect(driver.tick(at: 300) == [])
        #expect(driver.session.waitingPackets == 1)
        _ = driver.openSocket(1)
        _ = driver.receive("2probe", on: 1)
        #expect(driver.receive("5", on: 1) == [.sent(1, "2"), .upgraded(1)])
        #expect(driver.receive("3", on: 1) == [])
        #expect(driver.session.deadline == 600)
    }

    @Test("that times out answers its poll and closes the probing socket")
    func timeoutDuringProbe() {
        var driver = EngineSessionDriver()
        _ = driver.tick(at: 300)
        _ = driver.poll(1)
        _ = driver.poll(2)
        _ = driver.postBegan(3)
        _ = driver.openSocket(1)
        #expect(
            driver.tick(at: 500) == [
                .refused(3, .badRequest), .closedSocket(1, 1001), .refused(2, .unknownSession),
                .closed(.pingTimeout),
            ])
    }

    // MARK: Closing

    @Test("that the server closes sends the rest and a close packet to the waiting poll")
    func closeWithPoll() {
        var driver = EngineSessionDriver()
        _ = driver.poll(1)
        _ = driver.send("4last")
        #expect(driver.close() == [.payload(1, "4last\u{1E}1"), .closed(.byServer(code: 4401))])
        #expect(driver.close() == [])
    }

    @Test("that the server closes keeps the rest for the next polls, and accepts nothing more")
    func closeWithoutPoll() {
        var driver = EngineSessionDriver(settings: EngineSettings(answerPackets: 2))
        _ = driver.openSocket(1)
        _ = driver.postBegan(9)
        for packet in ["4a", "4b", "4c"] { _ = driver.send(packet) }
        #expect(driver.close(code: 1001) == [.refused(9, .badRequest), .closedSocket(1, 1001)])
        #expect(
            driver.session.closure == .byServer(code: 1001) && driver.session.deadline == 10_000)
        #expect(driver.send("4d") == [])
        #expect(driver.post(2, "4late") == [.refused(2, .unknownSession)])
        #expect(driver.openSocket(2) == [.closedSocket(2, 1008)])
        #expect(driver.poll(3) == [.payload(3, "4a\u{1E}4b")])
        #expect(driver.poll(4) == [.payload(4, "4c")])
        let closed = RecordedEngineStep.closed(.byServer(code: 1001))
        #expect(driver.poll(5) == [.refused(5, .unknownSession), closed])
        #expect(driver.poll(6) == [.refused(6, .unknownSession)])
    }

    @Test("that the server closes ends after a timeout even if no poll arrives")
    func closeTimeout() {
        var driver = EngineSessionDriver()
        _ = driver.close()
        #expect(driver.tick(at: 9999) == [])
        #expect(driver.tick(at: 10_000) == [.closed(.byServer(code: 4401))])
    }

    @Test("that the server closes closes its WebSocket with the code")
    func closeSocket() {
        var driver = EngineSessionDriver(onSocket: 1)
        #expect(driver.close() == [.closedSocket(1, 4401), .closed(.byServer(code: 4401))])
    }

    @Test("gives a reason that fits into a close frame, and never the code 1000")
    func closureDescriptions() {
        let closures: [EngineClosure] = [
            .byClient, .byServer(code: 1001), .transportClosed, .pingTimeout, .secondPoll,
            .secondPost, .malformed(.empty),
            .malformed(.notUTF8), .malformed(.unknownType(255)),
            .malformed(.tooManyPackets(limit: 1 << 20)), .unexpected(.noop),
            .queueFull,
        ]
        for closure in closures {
            #expect((1...123).contains(closure.description.utf8.count))
            #expect(closure.webSocketCode != 1000)
        }
    }

    @Test("dequeues a hundred thousand packets without moving the rest each time")
    func longQueue() {
        var driver = EngineSessionDriver(
            settings: EngineSettings(queuedPackets: 200_000, queuedBytes: 10_000_000))
        for number in 0..<100_000 { _ = driver.send("4\(number)") }
        var next = 0
        while driver.session.waitingPackets > 0 {
            guard case .payload(1, let text) = driver.poll(1).first else {
                Issue.record("no answer")
                return
            }
            for packet in text.split(separator: "\u{1E}") {
                if packet != "4\(next)" { Issue.record("\(packet) in place of \(next)") }
                next += 1
            }
        }
        #expect(next == 100_000)
    }
}
