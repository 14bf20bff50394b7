import SocketIO
import Testing

@Suite("A Socket.IO session")
struct SocketSessionTests {
    @Test("ends when the client connects twice")
    func secondConnect() {
        var connected = SocketSessionDriver.connected()
        #expect(connected.receive("0") == [.end(.connectedTwice)])
        var connecting = SocketSessionDriver()
        _ = connecting.receive("0")
        #expect(connecting.receive("0{}") == [.end(.connectedTwice)])
        #expect(connecting.accept() == [])
    }

    @Test(
        "ends when anything comes before the client is in",
        arguments: [#"2["a"]"#, "30[]", "1", #"50-["a"]"#, "60-1[]", #"2["\ud800"]"#])
    func packetBeforeConnect(_ packet: String) {
        var waiting = SocketSessionDriver()
        #expect(waiting.receive(packet) == [.end(.notConnected)])
        var connecting = SocketSessionDriver()
        _ = connecting.receive("0")
        #expect(connecting.receive(packet) == [.end(.notConnected)])
        var left = SocketSessionDriver.connected()
        _ = left.receive("1")
        #expect(left.receive(packet) == [.end(.notConnected)])
    }

    @Test(
        "ends when the client speaks in a namespace that it is not in",
        arguments: [#"2/x,["a"]"#, "3/x,0[]", "1/x", #"4/x,{"message":""}"#])
    func otherNamespace(_ packet: String) {
        var peer = SocketSessionDriver.connected()
        #expect(peer.receive(packet) == [.end(.notConnected)])
    }

    @Test("ends when the client sends what only servers send")
    func serverOnlyPackets() {
        for var peer in [SocketSessionDriver(), SocketSessionDriver.connected()] {
            #expect(peer.receive(#"4{"message":"no"}"#) == [.end(.unexpected(.connectError))])
        }
    }

    @Test("hands through what a client wants to recover")
    func recovery() {
        var peer = SocketSessionDriver()
        let auth = #"{"pid":"p\u0031","offset":"o","token":"t"}"#
        #expect(peer.receive("0\(auth)") == [.connect(auth: auth, pid: "p1", offset: "o")])
        var first = SocketSessionDriver()
        #expect(
            first.receive(#"0{"pid":"p","offset":null}"#) == [
                .connect(auth: #"{"pid":"p","offset":null}"#, pid: "p", offset: nil)
            ])
        var without = SocketSessionDriver()
        #expect(
            without.receive(#"0{"offset":"o"}"#) == [
                .connect(auth: #"{"offset":"o"}"#, pid: nil, offset: nil)
            ])
    }

    @Test(
        "refuses recovery data of another kind by its name",
        arguments: [(#"0{"pid":1}"#, "pid"), (#"0{"pid":"p","offset":[]}"#, "offset")])
    func badRecovery(_ packet: String, _ field: String) {
        var peer = SocketSessionDriver()
        #expect(peer.receive(packet) == [.sent(#"4{"message":"\#(field): must be a string"}"#)])
        #expect(peer.receive("0") == [.connect(auth: nil, pid: nil, offset: nil)])
    }

    @Test("lets a refused client try again while its time runs, and does not count ours")
    func refusal() {
        var peer = SocketSessionDriver()
        _ = peer.receive("0")
        #expect(peer.session.deadline == nil)
        #expect(peer.tick(at: 44_000) == [])
        #expect(peer.refuse("token: is \"bad\"") == [.sent(#"4{"message":"token: is \"bad\""}"#)])
        #expect(peer.refuse("again") == [])
        #expect(peer.session.deadline == 45_000)
        #expect(peer.receive("0") == [.connect(auth: nil, pid: nil, offset: nil)])
        #expect(peer.accept() == [.sent(#"0{"sid":"me"}"#)])
        #expect(peer.accept() == [])
    }

    @Test("refuses a CONNECT whose JSON is beyond our bounds with a CONNECT_ERROR")
    func oversized() {
        var peer = SocketSessionDriver()
        guard case .sent(let packet) = peer.receive(#"0{"a":"\ud800"}"#).first else {
            Issue.record("nothing was sent")
            return
        }
        #expect(packet.hasPrefix(#"4{"message":"The JSON is malformed"#))
        #expect(peer.session.deadline == 45_000)
    }

    @Test("drops what a client sent before it knew that it was sent away, and lets it in again")
    func packetsAfterDisconnectSent() {
        var peer = SocketSessionDriver.connected()
        peer.now = 1000
        #expect(peer.disconnect() == [.sent("1")])
        #expect(peer.disconnect() == [])
        for packet in [#"2["a"]"#, "30[]", "1", #"51-["a",{"_placeholder":true,"num":0}]"#] {
            #expect(peer.receive(packet) == [])
        }
        #expect(peer.receiveBinary() == [])
        #expect(peer.session.deadline == 46_000)
        #expect(peer.receive("0") == [.connect(auth: nil, pid: nil, offset: nil)])
        #expect(peer.accept() == [.sent(#"0{"sid":"me"}"#)])
    }

    @Test("gives a client that left as much time as one that has just come")
    func connectAfterDisconnect() {
        var peer = SocketSessionDriver(limits: SocketLimits(connectTimeout: 100))
        _ = peer.receive("0")
        _ = peer.accept()
        #expect(peer.tick(at: 10_000) == [])
        #expect(peer.receive("1") == [.disconnected])
        #expect(peer.session.deadline == 10_100)
        #expect(peer.tick(at: 10_100) == [.end(.connectTimeout)])
        #expect(peer.tick(at: 20_000) == [])
    }

    @Test(
        "ends at a binary frame that nothing has announced, and at a packet in place of one that was"
    )
    func attachments() {
        var stray = SocketSessionDriver.connected()
        #expect(stray.receiveBinary() == [.end(.malformed(.unannouncedAttachment))])
        #expect(stray.receiveBinary() == [])

        var missing = SocketSessionDriver.connected()
        _ = missing.receive(#"51-["a",{"_placeholder":true,"num":0}]"#)
        #expect(missing.receive(#"2["a"]"#) == [.end(.malformed(.missingAttachment))])

        var tooMany = SocketSessionDriver.connected()
        _ = tooMany.receive(#"51-["a",{"_placeholder":true,"num":0}]"#)
        #expect(tooMany.receiveBinary() == [])
        #expect(tooMany.receiveBinary() == [.end(.malformed(.unannouncedAttachment))])
    }

    @Test(
        "takes a number for an event's name, and a placeholder without attachments for what it looks like"
    )
    func unusualEvents() {
        var peer = SocketSessionDriver.connected()
        #expect(peer.receive("2[1,2]") == [.event(name: "1", payload: "[1,2]", ackID: nil)])
        let payload = #"["a",{"_placeholder":true,"num":7}]"#
        #expect(peer.receive("2\(payload)") == [.event(name: "a", payload: payload, ackID: nil)])
    }

    @Test("goes on elsewhere from wherever it stands, by the clock of that place")
    func movedSession() {
        var connecting = SocketSessionDriver()
        _ = connecting.receive("0")
        var refused = SocketSessionDriver.connected()
        _ = refused.receive(
            #"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
        _ = refused.receiveBinary()
        var dismissed = SocketSessionDriver.connected()
        _ = dismissed.disconnect()
        let standings = [SocketSessionDriver(), connecting, .connected(), refused, dismissed].map {
            $0.session.snapshot(at: 5000)
        }
        #expect(
            standings == [
                SocketSnapshot(.awaitingConnect(remaining: 40_000)),
                SocketSnapshot(.connecting(remaining: 40_000)), SocketSnapshot(.connected),
                SocketSnapshot(.connected, attachmentsDue: 1),
                SocketSnapshot(.disconnectSent(remaining: 40_000)),
            ])
        for standing in standings.compactMap({ $0 }) {
            let session = SocketSession(snapshot: standing, at: 700_000)
            #expect(session.snapshot(at: 700_000) == standing)
            #expect(session.isConnected == (standing.phase == .connected))
        }
        var ended = SocketSessionDriver()
        _ = ended.receive("x")
        #expect(ended.session.snapshot(at: 0) == nil)
    }

    @Test("says why it ended in words that fit into a close frame")
    func closureDescriptions() {
        let closures: [SocketClosure] = [
            .malformed(.badPlaceholder), .connectTimeout, .connectedTwice, .notConnected,
            .unexpected(.connectError),
        ]
        for closure in closures { #expect((1...123).contains(closure.description.utf8.count)) }
    }
}
