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
        "ends at any packet before the client is connected",
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
        "ends when the client sends to a namespace that it has not connected to",
        arguments: [#"2/x,["a"]"#, "3/x,0[]", "1/x", #"4/x,{"message":""}"#])
    func otherNamespace(_ packet: String) {
        var driver = SocketSessionDriver.connected()
        #expect(driver.receive(packet) == [.end(.notConnected)])
    }

    @Test("ends when the client sends a packet that only servers send")
    func serverOnlyPackets() {
        for var driver in [SocketSessionDriver(), SocketSessionDriver.connected()] {
            #expect(driver.receive(#"4{"message":"no"}"#) == [.end(.unexpected(.connectError))])
        }
    }

    @Test("returns the client's recovery data")
    func recovery() {
        var driver = SocketSessionDriver()
        let auth = #"{"pid":"p\u0031","offset":"o","token":"t"}"#
        #expect(driver.receive("0\(auth)") == [.connect(auth: auth, pid: "p1", offset: "o")])
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
        "names the field of recovery data with a wrong type",
        arguments: [(#"0{"pid":1}"#, "pid"), (#"0{"pid":"p","offset":[]}"#, "offset")])
    func badRecovery(_ packet: String, _ field: String) {
        var driver = SocketSessionDriver()
        #expect(driver.receive(packet) == [.sent(#"4{"message":"\#(field): must be a string"}"#)])
        #expect(driver.receive("0") == [.connect(auth: nil, pid: nil, offset: nil)])
    }

    @Test("lets a rejected client retry; the server's check does not consume its time")
    func refusal() {
        var driver = SocketSessionDriver()
        _ = driver.receive("0")
        #expect(driver.session.deadline == nil)
        #expect(driver.tick(at: 44_000) == [])
        #expect(driver.refuse("token: is \"bad\"") == [.sent(#"4{"message":"token: is \"bad\""}"#)])
        #expect(driver.refuse("again") == [])
        #expect(driver.session.deadline == 45_000)
        #expect(driver.receive("0") == [.connect(auth: nil, pid: nil, offset: nil)])
        #expect(driver.accept() == [.sent(#"0{"sid":"me"}"#)])
        #expect(driver.accept() == [])
    }

    @Test("rejects a CONNECT whose JSON exceeds the limits with a CONNECT_ERROR")
    func oversized() {
        var driver = SocketSessionDriver()
        guard case .sent(let packet) = driver.receive(#"0{"a":"\ud800"}"#).first else {
            Issue.record("nothing was sent")
            return
        }
        #expect(packet.hasPrefix(#"4{"message":"The JSON is malformed"#))
        #expect(driver.session.deadline == 45_000)
    }

    @Test("drops packets sent before DISCONNECT arrived, and lets the client connect again")
    func packetsAfterDisconnectSent() {
        var driver = SocketSessionDriver.connected()
        driver.now = 1000
        #expect(driver.disconnect() == [.sent("1")])
        #expect(driver.disconnect() == [])
        for packet in [#"2["a"]"#, "30[]", "1", #"51-["a",{"_placeholder":true,"num":0}]"#] {
            #expect(driver.receive(packet) == [])
        }
        #expect(driver.receiveBinary() == [])
        #expect(driver.session.deadline == 46_000)
        #expect(driver.receive("0") == [.connect(auth: nil, pid: nil, offset: nil)])
        #expect(driver.accept() == [.sent(#"0{"sid":"me"}"#)])
    }

    @Test("gives a client that disconnected as much time as a new one")
    func connectAfterDisconnect() {
        var driver = SocketSessionDriver(limits: SocketLimits(connectTimeout: 100))
        _ = driver.receive("0")
        _ = driver.accept()
        #expect(driver.tick(at: 10_000) == [])
        #expect(driver.receive("1") == [.disconnected])
        #expect(driver.session.deadline == 10_100)
        #expect(driver.tick(at: 10_100) == [.end(.connectTimeout)])
        #expect(driver.tick(at: 20_000) == [])
    }

    @Test("ends at an unannounced binary frame, and at a packet instead of an announced one")
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

    @Test("accepts a number as an event's name, and ignores a placeholder without attachments")
    func unusualEvents() {
        var driver = SocketSessionDriver.connected()
        #expect(driver.receive("2[1,2]") == [.event(name: "1", payload: "[1,2]", ackID: nil)])
        let payload = #"["a",{"_placeholder":true,"num":7}]"#
        #expect(driver.receive("2\(payload)") == [.event(name: "a", payload: payload, ackID: nil)])
    }

    @Test("continues on another node from every state, with that node's clock")
    func movedSession() {
        var connecting = SocketSessionDriver()
        _ = connecting.receive("0")
        var refused = SocketSessionDriver.connected()
        _ = refused.receive(
            #"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
        _ = refused.receiveBinary()
        var dismissed = SocketSessionDriver.connected()
        _ = dismissed.disconnect()
        let snapshots = [SocketSessionDriver(), connecting, .connected(), refused, dismissed].map {
            $0.session.snapshot(at: 5000)
        }
        #expect(
            snapshots == [
                SocketSnapshot(.awaitingConnect(remaining: 40_000)),
                SocketSnapshot(.connecting(remaining: 40_000)), SocketSnapshot(.connected),
                SocketSnapshot(.connected, attachmentsDue: 1),
                SocketSnapshot(.disconnectSent(remaining: 40_000)),
            ])
        for snapshot in snapshots.compactMap({ $0 }) {
            let session = SocketSession(snapshot: snapshot, at: 700_000)
            #expect(session.snapshot(at: 700_000) == snapshot)
            #expect(session.isConnected == (snapshot.phase == .connected))
        }
        var ended = SocketSessionDriver()
        _ = ended.receive("x")
        #expect(ended.session.snapshot(at: 0) == nil)
    }

    @Test("gives a reason that fits into a close frame")
    func closureDescriptions() {
        let closures: [SocketClosure] = [
            .malformed(.badPlaceholder), .connectTimeout, .connectedTwice, .notConnected,
            .unexpected(.connectError),
        ]
        for closure in closures { #expect((1...123).contains(closure.description.utf8.count)) }
    }
}
