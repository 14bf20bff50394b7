import Bytes
import EngineIO
import Testing

@Suite("An Engine.IO session")
struct EngineSessionTests {
    // MARK: Polling

    @Test("answers a poll at once with the queued packets, at most sixteen")
    func packetsPerPoll() {
        var driver = EngineSessionDriver()
        for number in 1...40 { #expect(driver.send("4\(number)") == []) }
        #expect(
            driver.session.waitingPackets == 40 && driver.session.waitingBytes == 9 * 2 + 31 * 3)
        for (request, numbers) in [(1, 1...16), (2, 17...32), (3, 33...40)] {
            #expect(
                driver.poll(request) == [
                    .payload(request, numbers.map { "4\($0)" }.joined(separator: "\u{1E}"))
                ])
        }
        #expect(driver.poll(4) == [])
        #expect(driver.session.waitingPackets == 0 && driver.session.waitingBytes == 0)
        #expect(driver.flush() == [])
    }

    @Test("never splits a packet from its companion")
    func companionPairs() {
        var driver = EngineSessionDriver()
        for number in 1...15 { #expect(driver.send("4\(number)") == []) }
        #expect(driver.send("4a", with: "4b") == [])
        #expect(
            driver.poll(1) == [.payload(1, (1...15).map { "4\($0)" }.joined(separator: "\u{1E}"))])
        #expect(driver.poll(2) == [.payload(2, "4a\u{1E}4b")])

        var narrow = EngineSessionDriver(settings: EngineSettings(answerPackets: 2, answerBytes: 1))
        #expect(narrow.send("4a", with: "4b") == [])
        #expect(narrow.send("4c") == [])
        #expect(narrow.send("4d") == [])
        #expect(narrow.poll(1) == [.payload(1, "4a\u{1E}4b")])
        #expect(narrow.poll(2) == [.payload(2, "4c")])
        #expect(narrow.poll(3) == [.payload(3, "4d")])
    }

    @Test("keeps a companion with its packet, even in a full queue, unless that has been sent")
    func lateCompanions() {
        var driver = EngineSessionDriver(settings: EngineSettings(queuedPackets: 16))
        for number in 1...16 { #expect(driver.send("4\(number)") == []) }
        #expect(driver.send(companion: "4b") == [])
        #expect(
            driver.poll(1) == [.payload(1, (1...15).map { "4\($0)" }.joined(separator: "\u{1E}"))])
        #expect(driver.poll(2) == [.payload(2, "416\u{1E}4b")])
        #expect(driver.poll(3) == [])
        #expect(driver.send(companion: "4c") == [])
        #expect(driver.flush() == [.payload(3, "4c")])

        // Only the first of several companions travels with its packet: a response may have no room
        // for more.
        var narrow = EngineSessionDriver(settings: EngineSettings(answerPackets: 2))
        _ = narrow.send("4a", with: "4b")
        #expect(narrow.send(companion: "4c") == [])
        #expect(narrow.send(companion: "4d") == [])
        #expect(narrow.poll(1) == [.payload(1, "4a\u{1E}4b")])
        #expect(narrow.poll(2) == [.payload(2, "4c\u{1E}4d")])
    }

    @Test("counts a companion of no packet like any other packet when the queue is full")
    func queueFullOfCompanions() {
        var driver = EngineSessionDriver(settings: EngineSettings(queuedPackets: 3))
        for number in 1...4 { #expect(driver.send(companion: "4\(number)") == []) }
        #expect(driver.send(companion: "45") == [.closed(.queueFull)])
    }

    @Test("is closed when the queue exceeds its limit of packets or bytes, and drops it")
    func queueFull() {
        for settings in [EngineSettings(queuedPackets: 3), EngineSettings(queuedBytes: 7)] {
            var driver = EngineSessionDriver(settings: settings)
            for number in 1...3 { #expect(driver.send("4\(number)") == []) }
            #expect(driver.send("44") == [.closed(.queueFull)])
            #expect(driver.session.waitingPackets == 0)
            #expect(driver.send("45") == [])
            #expect(driver.poll(1) == [.refused(1, .unknownSession)])
        }
    }

    @Test("sends to a waiting poll before the queue is full, and accepts one oversized packet")
    func queueWithWaitingPoll() {
        var driver = EngineSessionDriver(
            settings: EngineSettings(queuedPackets: 3, queuedBytes: 10))
        _ = driver.poll(1)
        for number in 1...3 { #expect(driver.send("4\(number)") == []) }
        #expect(driver.send("4four") == [.payload(1, "41\u{1E}42\u{1E}43")])
        #expect(driver.poll(2) == [.payload(2, "4four")])
        let long = "4" + String(repeating: "x", count: 100)
        #expect(driver.send(long) == [])
        #expect(driver.poll(3) == [.payload(3, long)])
    }

    @Test("is closed by a second concurrent POST, and refuses both")
    func secondPost() {
        var driver = EngineSessionDriver()
        _ = driver.poll(1)
        #expect(driver.postBegan(2) == [])
        #expect(
            driver.postBegan(3) == [
                .refused(3, .badRequest), .refused(2, .badRequest), .payload(1, "1"),
                .closed(.secondPost),
            ])
        #expect(driver.postEnded(2, "4late") == [])
        #expect(driver.post(4, "4later") == [.refused(4, .unknownSession)])
    }

    @Test("refuses a POST above maxPayload, however its size becomes known, and continues")
    func postAboveMaxPayload() {
        var driver = EngineSessionDriver(settings: EngineSettings(maxPayload: 5, postPackets: 2))
        #expect(driver.postBegan(1, announcedBytes: 6) == [.refused(1, .payloadTooLarge)])
        #expect(driver.postBegan(2) == [])
        #expect(driver.postTooLarge(2) == [.refused(2, .payloadTooLarge)])
        #expect(driver.postTooLarge(2) == [])
        #expect(driver.postBegan(3) == [])
        #expect(driver.postEnded(3, "412345") == [.refused(3, .payloadTooLarge)])
        #expect(driver.post(4, "4\u{1E}4\u{1E}4") == [.refused(4, .payloadTooLarge)])
        #expect(
            driver.post(5, "4123\u{1E}") == [.refused(5, .badRequest), .closed(.malformed(.empty))])
    }

    @Test("accepts a POST of exactly maxPayload")
    func postOfMaxPayload() {
        var driver = EngineSessionDriver(settings: EngineSettings(maxPayload: 5))
        #expect(driver.post(1, "41234") == [.message("1234"), .accepted(1)])
    }

    @Test("accepts nothing of a POST that is malformed anywhere")
    func malformedPost() {
        var driver = EngineSessionDriver()
        #expect(
            driver.post(1, "4a\u{1E}4b\u{1E}x") == [
                .refused(1, .badRequest), .closed(.malformed(.unknownType(UInt8(ascii: "x")))),
            ])
    }

    @Test("accepts the packets of a POST before a close packet, and nothing after it")
    func closePacketInPost() {
        var driver = EngineSessionDriver()
        _ = driver.poll(1)
        #expect(
            driver.post(2, "4a\u{1E}1\u{1E}4b") == [
                .message("a"), .accepted(2), .payload(1, "6"), .closed(.byClient),
            ])
    }

    @Test("ends when a POST or a waiting poll breaks, but not when an answered poll does")
    func abortedRequests() {
        var post = EngineSessionDriver()
        _ = post.poll(1)
        _ = post.postBegan(2)
        #expect(
            post.postAborted(2) == [.refused(1, .unknownSession), .closed(.transportClosed)])
        var poll = EngineSessionDriver()
        _ = poll.poll(1)
        _ = poll.send("4a")
        #expect(poll.flush() == [.payload(1, "4a")])
        #expect(poll.pollAborted(1) == [])
        #expect(poll.postAborted(1) == [])
        #expect(poll.poll(2) == [])
    }

    @Test(
        "ends when a client sends a packet that is not allowed there",
        arguments: [("0{}", .open), ("2", .ping), ("2probe", .ping), ("5", .upgrade)]
            as [(String, EnginePacketKind)])
    func unexpected(_ packet: String, _ kind: EnginePacketKind) {
        var polling = EngineSessionDriver()
        #expect(polling.post(1, packet) == [.refused(1, .badRequest), .closed(.unexpected(kind))])
        var socket = EngineSessionDriver(onSocket: 1)
        #expect(
            socket.receive(packet, on: 1) == [.closedSocket(1, 1002), .closed(.unexpected(kind))])
    }

    @Test("ignores a noop on both transports")
    func noop() {
        var polling = EngineSessionDriver()
        #expect(polling.post(1, "6") == [.accepted(1)])
        var socket = EngineSessionDriver(onSocket: 1)
        #expect(socket.receive("6", on: 1) == [])
    }

    // MARK: WebSocket

    @Test(
        "ends at a frame that is not a packet",
        arguments: [
            ("", .empty), ("b", .unknownType(0x62)), ("bAQID", .unknownType(0x62)),
            ("7", .unknownType(0x37)), ("é", .unknownType(0xC3)),
        ]
            as [(String, EnginePacketError)])
    func malformedFrames(_ frame: String, _ error: EnginePacketError) {
        var driver = EngineSessionDriver(onSocket: 1)
        #expect(
            driver.receive(frame, on: 1) == [.closedSocket(1, 1002), .closed(.malformed(error))])
        #expect(driver.receive("4a", on: 1) == [])
        #expect(driver.receiveBinary(on: 1) == [])
    }

    @Test("treats a separator in a WebSocket frame as text")
    func separatorInFrame() {
        var driver = EngineSessionDriver(onSocket: 1)
        #expect(driver.receive("4a\u{1E}4b", on: 1) == [.message("a\u{1E}4b")])
    }

    @Test("ends with its own WebSocket, and with no other")
    func socketClosed() {
        var driver = EngineSessionDriver(onSocket: 1)
        #expect(driver.socketClosed(2) == [])
        #expect(driver.receive("4a", on: 2) == [])
        #expect(driver.socketClosed(1) == [.closed(.transportClosed)])
        #expect(driver.socketClosed(1) == [])
        #expect(driver.session.closure == .transportClosed)
    }

    @Test("that was moved to this node after its upgrade restarts its heartbeat")
    func movedSession() {
        var steps = EngineSteps()
        var session = EngineSession(
            EngineSessionDriver.id, EngineSessionDriver.settings, movedTo: EngineSocketID(1),
            at: 1000)
        #expect(session.socket == EngineSocketID(1) && session.deadline == 1300)
        session.tick(at: 1300, into: &steps)
        #expect(steps.list.count == 1 && session.deadline == 1500)
    }
}
