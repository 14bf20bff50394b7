import Bytes
import EngineIO
import Testing

@Suite("An Engine.IO session")
struct EngineSessionTests {
    // MARK: Polling

    @Test("answers a poll at once with what has gathered, sixteen packets at a time")
    func packetsPerPoll() {
        var peer = EngineSessionDriver()
        for number in 1...40 { #expect(peer.send("4\(number)") == []) }
        #expect(peer.session.waitingPackets == 40 && peer.session.waitingBytes == 9 * 2 + 31 * 3)
        for (request, numbers) in [(1, 1...16), (2, 17...32), (3, 33...40)] {
            #expect(
                peer.poll(request) == [
                    .payload(request, numbers.map { "4\($0)" }.joined(separator: "\u{1E}"))
                ])
        }
        #expect(peer.poll(4) == [])
        #expect(peer.session.waitingPackets == 0 && peer.session.waitingBytes == 0)
        #expect(peer.flush() == [])
    }

    @Test("never parts two packets that belong together")
    func companionPairs() {
        var peer = EngineSessionDriver()
        for number in 1...15 { #expect(peer.send("4\(number)") == []) }
        #expect(peer.send("4a", with: "4b") == [])
        #expect(
            peer.poll(1) == [.payload(1, (1...15).map { "4\($0)" }.joined(separator: "\u{1E}"))])
        #expect(peer.poll(2) == [.payload(2, "4a\u{1E}4b")])

        var narrow = EngineSessionDriver(settings: EngineSettings(answerPackets: 2, answerBytes: 1))
        #expect(narrow.send("4a", with: "4b") == [])
        #expect(narrow.send("4c") == [])
        #expect(narrow.send("4d") == [])
        #expect(narrow.poll(1) == [.payload(1, "4a\u{1E}4b")])
        #expect(narrow.poll(2) == [.payload(2, "4c")])
        #expect(narrow.poll(3) == [.payload(3, "4d")])
    }

    @Test(
        "keeps a packet with the one that it belongs to, whenever it comes: also behind a full outbox, and not where that has left"
    )
    func lateCompanions() {
        var peer = EngineSessionDriver(settings: EngineSettings(outboxPackets: 16))
        for number in 1...16 { #expect(peer.send("4\(number)") == []) }
        #expect(peer.send(companion: "4b") == [])
        #expect(
            peer.poll(1) == [.payload(1, (1...15).map { "4\($0)" }.joined(separator: "\u{1E}"))])
        #expect(peer.poll(2) == [.payload(2, "416\u{1E}4b")])
        #expect(peer.poll(3) == [])
        #expect(peer.send(companion: "4c") == [])
        #expect(peer.flush() == [.payload(3, "4c")])

        // Of several behind one packet the first goes with it: there may be no more room in an answer.
        var narrow = EngineSessionDriver(settings: EngineSettings(answerPackets: 2))
        _ = narrow.send("4a", with: "4b")
        #expect(narrow.send(companion: "4c") == [])
        #expect(narrow.send(companion: "4d") == [])
        #expect(narrow.poll(1) == [.payload(1, "4a\u{1E}4b")])
        #expect(narrow.poll(2) == [.payload(2, "4c\u{1E}4d")])
    }

    @Test("is closed by what belongs to nothing as by any other packet when too much waits")
    func outboxFullOfCompanions() {
        var peer = EngineSessionDriver(settings: EngineSettings(outboxPackets: 3))
        for number in 1...4 { #expect(peer.send(companion: "4\(number)") == []) }
        #expect(peer.send(companion: "45") == [.closed(.outboxFull)])
    }

    @Test("is closed when more waits than may, by packets and by bytes, and gives what waited up")
    func outboxFull() {
        for settings in [EngineSettings(outboxPackets: 3), EngineSettings(outboxBytes: 7)] {
            var peer = EngineSessionDriver(settings: settings)
            for number in 1...3 { #expect(peer.send("4\(number)") == []) }
            #expect(peer.send("44") == [.closed(.outboxFull)])
            #expect(peer.session.waitingPackets == 0)
            #expect(peer.send("45") == [])
            #expect(peer.poll(1) == [.refused(1, .unknownSession)])
        }
    }

    @Test(
        "sends to the waiting poll before it calls the outbox full, and takes a packet that is longer than all of it alone"
    )
    func outboxWithWaitingPoll() {
        var peer = EngineSessionDriver(settings: EngineSettings(outboxPackets: 3, outboxBytes: 10))
        _ = peer.poll(1)
        for number in 1...3 { #expect(peer.send("4\(number)") == []) }
        #expect(peer.send("4four") == [.payload(1, "41\u{1E}42\u{1E}43")])
        #expect(peer.poll(2) == [.payload(2, "4four")])
        let long = "4" + String(repeating: "x", count: 100)
        #expect(peer.send(long) == [])
        #expect(peer.poll(3) == [.payload(3, long)])
    }

    @Test("is closed by a second POST beside another one, and both are refused")
    func secondPost() {
        var peer = EngineSessionDriver()
        _ = peer.poll(1)
        #expect(peer.postBegan(2) == [])
        #expect(
            peer.postBegan(3) == [
                .refused(3, .badRequest), .refused(2, .badRequest), .payload(1, "1"),
                .closed(.secondPost),
            ])
        #expect(peer.postEnded(2, "4late") == [])
        #expect(peer.post(4, "4later") == [.refused(4, .unknownSession)])
    }

    @Test("refuses a POST above maxPayload, however it shows, and goes on")
    func postAboveMaxPayload() {
        var peer = EngineSessionDriver(settings: EngineSettings(maxPayload: 5, postPackets: 2))
        #expect(peer.postBegan(1, announcedBytes: 6) == [.refused(1, .payloadTooLarge)])
        #expect(peer.postBegan(2) == [])
        #expect(peer.postTooLarge(2) == [.refused(2, .payloadTooLarge)])
        #expect(peer.postTooLarge(2) == [])
        #expect(peer.postBegan(3) == [])
        #expect(peer.postEnded(3, "412345") == [.refused(3, .payloadTooLarge)])
        #expect(peer.post(4, "4\u{1E}4\u{1E}4") == [.refused(4, .payloadTooLarge)])
        #expect(
            peer.post(5, "4123\u{1E}") == [.refused(5, .badRequest), .closed(.malformed(.empty))])
    }

    @Test("takes exactly maxPayload")
    func postOfMaxPayload() {
        var peer = EngineSessionDriver(settings: EngineSettings(maxPayload: 5))
        #expect(peer.post(1, "41234") == [.message("1234"), .accepted(1)])
    }

    @Test("takes nothing of a POST that is malformed anywhere")
    func malformedPost() {
        var peer = EngineSessionDriver()
        #expect(
            peer.post(1, "4a\u{1E}4b\u{1E}x") == [
                .refused(1, .badRequest), .closed(.malformed(.unknownType(UInt8(ascii: "x")))),
            ])
    }

    @Test("takes what a POST says before it says close, and nothing behind it")
    func closePacketInPost() {
        var peer = EngineSessionDriver()
        _ = peer.poll(1)
        #expect(
            peer.post(2, "4a\u{1E}1\u{1E}4b") == [
                .message("a"), .accepted(2), .payload(1, "6"), .closed(.byClient),
            ])
    }

    @Test(
        "ends when a POST breaks off, or the connection of a waiting poll; not when that of an answered one does"
    )
    func abortedRequests() {
        var post = EngineSessionDriver()
        _ = post.poll(1)
        _ = post.postBegan(2)
        #expect(post.postAborted(2) == [.payload(1, "1"), .closed(.transportClosed)])
        var poll = EngineSessionDriver()
        _ = poll.poll(1)
        _ = poll.send("4a")
        #expect(poll.flush() == [.payload(1, "4a")])
        #expect(poll.pollAborted(1) == [])
        #expect(poll.postAborted(1) == [])
        #expect(poll.poll(2) == [])
    }

    @Test(
        "ends when a client sends what clients do not send there",
        arguments: [("0{}", .open), ("2", .ping), ("2probe", .ping), ("5", .upgrade)]
            as [(String, EnginePacketKind)])
    func unexpected(_ packet: String, _ kind: EnginePacketKind) {
        var polling = EngineSessionDriver()
        #expect(polling.post(1, packet) == [.refused(1, .badRequest), .closed(.unexpected(kind))])
        var socket = EngineSessionDriver(onSocket: 1)
        #expect(
            socket.receive(packet, on: 1) == [.closedSocket(1, 1002), .closed(.unexpected(kind))])
    }

    @Test("takes a noop for nothing, on both transports")
    func noop() {
        var polling = EngineSessionDriver()
        #expect(polling.post(1, "6") == [.accepted(1)])
        var socket = EngineSessionDriver(onSocket: 1)
        #expect(socket.receive("6", on: 1) == [])
    }

    // MARK: WebSocket

    @Test(
        "ends at a frame that is no packet",
        arguments: [
            ("", .empty), ("b", .unknownType(0x62)), ("bAQID", .unknownType(0x62)),
            ("7", .unknownType(0x37)), ("é", .unknownType(0xC3)),
        ]
            as [(String, EnginePacketError)])
    func malformedFrames(_ frame: String, _ error: EnginePacketError) {
        var peer = EngineSessionDriver(onSocket: 1)
        #expect(peer.receive(frame, on: 1) == [.closedSocket(1, 1002), .closed(.malformed(error))])
        #expect(peer.receive("4a", on: 1) == [])
        #expect(peer.receiveBinary(on: 1) == [])
    }

    @Test("takes a separator in a WebSocket's frame for text")
    func separatorInFrame() {
        var peer = EngineSessionDriver(onSocket: 1)
        #expect(peer.receive("4a\u{1E}4b", on: 1) == [.message("a\u{1E}4b")])
    }

    @Test("ends with its WebSocket, and with no other")
    func socketClosed() {
        var peer = EngineSessionDriver(onSocket: 1)
        #expect(peer.socketClosed(2) == [])
        #expect(peer.receive("4a", on: 2) == [])
        #expect(peer.socketClosed(1) == [.closed(.transportClosed)])
        #expect(peer.socketClosed(1) == [])
        #expect(peer.session.closure == .transportClosed)
    }

    @Test("that was moved here after its upgrade begins its heartbeat anew")
    func movedSession() {
        var steps = EngineSteps()
        var session = EngineSession(
            EngineSessionDriver.id, EngineSessionDriver.settings, movedTo: EngineSocketID(1),
            at: 1000)
        #expect(session.socket == EngineSocketID(1) && session.deadline == 1300)
        session.tick(at: 1300, into: &steps)
        #expect(steps.list.count == 1 && session.deadline == 1500)
        steps.removeAll()
        #expect(steps.list.isEmpty && steps.text.isEmpty)
    }

    // MARK: Upgrade

    @Test(
        "releases a waiting poll when a WebSocket probes, and the next ones a tenth of a second apart"
    )
    func pollReleaseDuringProbe() {
        var peer = EngineSessionDriver()
        _ = peer.poll(1)
        #expect(peer.openSocket(1) == [])
        #expect(peer.session.deadline == 300)
        #expect(peer.receive("2probe", on: 1) == [.sent(1, "3probe"), .payload(1, "6")])
        #expect(peer.poll(2) == [])
        #expect(peer.session.deadline == 100)
        #expect(peer.tick(at: 99) == [])
        #expect(peer.tick(at: 100) == [.payload(2, "6")])
        #expect(peer.session.deadline == 300)
        peer.now = 200
        #expect(peer.poll(3) == [.payload(3, "6")])
    }

    @Test("gives a poll that it releases what was sent in the same turn")
    func pollReleaseWithPackets() {
        var peer = EngineSessionDriver()
        _ = peer.poll(1)
        _ = peer.openSocket(1)
        _ = peer.send("4a")
        #expect(peer.receive("2probe", on: 1) == [.sent(1, "3probe"), .payload(1, "4a")])
        #expect(peer.poll(2) == [.payload(2, "6")])
        _ = peer.poll(3)
        _ = peer.send("4b")
        #expect(peer.tick(at: 100) == [.payload(3, "4b")])
    }

    @Test("goes on polling while a WebSocket probes, and gives it the rest in order")
    func pollingDuringProbe() {
        var peer = EngineSessionDriver()
        _ = peer.poll(1)
        _ = peer.openSocket(1)
        _ = peer.send("4a")
        #expect(peer.flush() == [.payload(1, "4a")])
        _ = peer.receive("2probe", on: 1)
        _ = peer.send("4b")
        #expect(peer.poll(2) == [.payload(2, "4b")])
        #expect(peer.post(3, "4c") == [.message("c"), .accepted(3)])
        for packet in ["4d", "4e"] { #expect(peer.send(packet) == []) }
        #expect(peer.send("4f", with: "4g") == [])
        #expect(
            peer.receive("5", on: 1) == [
                .sent(1, "4d"), .sent(1, "4e"), .sent(1, "4f"), .sent(1, "4g"), .upgraded(1),
            ])
        #expect(peer.send("4h", with: "4i") == [.sent(1, "4h"), .sent(1, "4i")])
        #expect(peer.session.socket == EngineSocketID(1))
    }

    @Test(
        "answers requests of a client that goes over before they are back: the poll with nothing, the POST with a refusal"
    )
    func upgradeWithOpenRequests() {
        var peer = EngineSessionDriver()
        _ = peer.openSocket(1)
        _ = peer.receive("2probe", on: 1)
        #expect(peer.poll(1) == [.payload(1, "6")])
        #expect(peer.poll(2) == [])
        #expect(peer.postBegan(3) == [])
        #expect(
            peer.receive("5", on: 1) == [.payload(2, "6"), .refused(3, .badRequest), .upgraded(1)])
        #expect(peer.postEnded(3, "4late") == [])
        #expect(peer.pollAborted(2) == [])
    }

    @Test(
        "goes on polling when the WebSocket dies in the middle of the probe, and lets another one try"
    )
    func probeSocketLost() {
        for script in [[], ["2probe"]] {
            var peer = EngineSessionDriver()
            _ = peer.poll(1)
            _ = peer.openSocket(1)
            for frame in script { _ = peer.receive(frame, on: 1) }
            #expect(peer.socketClosed(1) == [])
            #expect(peer.receive("5", on: 1) == [])
            _ = peer.send("4a")
            #expect(
                peer.flush() + peer.poll(2)
                    == (script.isEmpty ? [.payload(1, "4a")] : [.payload(2, "4a")]))
            #expect(peer.openSocket(2) == [])
            #expect(peer.receive("2probe", on: 2).first == .sent(2, "3probe"))
        }
    }

    @Test(
        "closes a WebSocket that probes with anything else, and goes on polling",
        arguments: ["", "2", "2prob", "2probes", "4a", "5", "1", "3probe", "é"])
    func malformedProbe(_ frame: String) {
        var peer = EngineSessionDriver()
        _ = peer.openSocket(1)
        #expect(peer.receive(frame, on: 1) == [.closedSocket(1, 1002)])
        #expect(peer.receive("2probe", on: 1) == [])
        #expect(peer.post(1, "4a") == [.message("a"), .accepted(1)])
    }

    @Test(
        "closes a WebSocket that does not go over after its probe, and goes on polling",
        arguments: ["", "2probe", "4a", "5x", "6", "1"])
    func malformedUpgrade(_ frame: String) {
        var peer = EngineSessionDriver()
        _ = peer.openSocket(1)
        _ = peer.receive("2probe", on: 1)
        #expect(peer.receive(frame, on: 1) == [.closedSocket(1, 1002)])
        #expect(peer.socketClosed(1) == [])
        #expect(peer.poll(1) == [])
    }

    @Test(
        "closes a WebSocket that probes in binary, a second one beside the first, and one that takes too long"
    )
    func rejectedProbes() {
        var peer = EngineSessionDriver(settings: EngineSettings(upgradeTimeout: 100))
        _ = peer.openSocket(1)
        #expect(peer.openSocket(2) == [.closedSocket(2, 1008)])
        #expect(peer.receiveBinary(on: 2) == [])
        #expect(peer.receiveBinary(on: 1) == [.closedSocket(1, 1002)])
        #expect(peer.openSocket(3) == [])
        #expect(peer.session.deadline == 100)
        #expect(peer.tick(at: 100) == [.closedSocket(3, 1008)])
        #expect(peer.session.socket == nil && peer.session.closure == nil)
    }

    // MARK: Heartbeat

    @Test("lets a pong that nobody asked for count for nothing")
    func unsolicitedPong() {
        var peer = EngineSessionDriver()
        peer.now = 200
        #expect(peer.post(1, "3") == [.accepted(1)])
        #expect(peer.session.deadline == 300)
    }

    @Test(
        "takes a pong that was read before the tick, however late, and gives a late ping its whole time"
    )
    func latePong() {
        var peer = EngineSessionDriver(onSocket: 1)
        #expect(peer.tick(at: 10_000) == [.sent(1, "2")])
        #expect(peer.session.deadline == 10_200)
        peer.now = 90_000
        #expect(peer.receive("3", on: 1) == [])
        #expect(peer.tick() == [])
        #expect(peer.session.deadline == 90_300)
    }

    @Test("keeps a ping for the poll that comes, also across an upgrade")
    func queuedPing() {
        var peer = EngineSessionDriver()
        #expect(peer.tick(at: 300) == [])
        #expect(peer.session.waitingPackets == 1)
        _ = peer.openSocket(1)
        _ = peer.receive("2probe", on: 1)
        #expect(peer.receive("5", on: 1) == [.sent(1, "2"), .upgraded(1)])
        #expect(peer.receive("3", on: 1) == [])
        #expect(peer.session.deadline == 600)
    }

    @Test("that times out answers its poll and closes the socket that was to take over")
    func timeoutDuringProbe() {
        var peer = EngineSessionDriver()
        _ = peer.tick(at: 300)
        _ = peer.poll(1)
        _ = peer.poll(2)
        _ = peer.postBegan(3)
        _ = peer.openSocket(1)
        #expect(
            peer.tick(at: 500) == [
                .refused(3, .badRequest), .closedSocket(1, 1001), .payload(2, "1"),
                .closed(.pingTimeout),
            ])
    }

    // MARK: Closing

    @Test("that the server closes says what is left to the waiting poll, and goodbye")
    func closeWithPoll() {
        var peer = EngineSessionDriver()
        _ = peer.poll(1)
        _ = peer.send("4last")
        #expect(peer.close() == [.payload(1, "4last\u{1E}1"), .closed(.byServer(code: 4401))])
        #expect(peer.close() == [])
    }

    @Test("that the server closes keeps what is left for the next polls, and takes nothing more")
    func closeWithoutPoll() {
        var peer = EngineSessionDriver(settings: EngineSettings(answerPackets: 2))
        _ = peer.openSocket(1)
        _ = peer.postBegan(9)
        for packet in ["4a", "4b", "4c"] { _ = peer.send(packet) }
        #expect(peer.close(code: 1001) == [.refused(9, .badRequest), .closedSocket(1, 1001)])
        #expect(peer.session.closure == .byServer(code: 1001) && peer.session.deadline == 10_000)
        #expect(peer.send("4d") == [])
        #expect(peer.post(2, "4late") == [.refused(2, .unknownSession)])
        #expect(peer.openSocket(2) == [.closedSocket(2, 1008)])
        #expect(peer.poll(3) == [.payload(3, "4a\u{1E}4b")])
        #expect(peer.poll(4) == [.payload(4, "4c\u{1E}1"), .closed(.byServer(code: 1001))])
        #expect(peer.poll(5) == [.refused(5, .unknownSession)])
    }

    @Test("that the server closes does not wait for ever to say so")
    func closeTimeout() {
        var peer = EngineSessionDriver()
        _ = peer.close()
        #expect(peer.tick(at: 9999) == [])
        #expect(peer.tick(at: 10_000) == [.closed(.byServer(code: 4401))])
    }

    @Test("that the server closes closes its WebSocket with the code")
    func closeSocket() {
        var peer = EngineSessionDriver(onSocket: 1)
        #expect(peer.close() == [.closedSocket(1, 4401), .closed(.byServer(code: 4401))])
    }

    @Test("says why it ended in words that fit into a close frame, and never with 1000")
    func closureDescriptions() {
        let closures: [EngineClosure] = [
            .byClient, .byServer(code: 1001), .transportClosed, .pingTimeout, .secondPoll,
            .secondPost, .malformed(.empty),
            .malformed(.notUTF8), .malformed(.unknownType(255)),
            .malformed(.tooManyPackets(limit: 1 << 20)), .unexpected(.noop),
            .outboxFull,
        ]
        for closure in closures {
            #expect((1...123).contains(closure.description.utf8.count))
            #expect(closure.webSocketCode != 1000)
        }
    }

    @Test("takes a hundred thousand packets from the outbox without moving the rest each time")
    func longOutbox() {
        var peer = EngineSessionDriver(
            settings: EngineSettings(outboxPackets: 200_000, outboxBytes: 10_000_000))
        for number in 0..<100_000 { _ = peer.send("4\(number)") }
        var next = 0
        while peer.session.waitingPackets > 0 {
            guard case .payload(1, let text) = peer.poll(1).first else {
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
