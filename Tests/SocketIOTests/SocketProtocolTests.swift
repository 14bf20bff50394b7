import SocketIO
import Testing

/// The cases of the protocol's own test suite (socketio/socket.io-protocol, revision 5), under
/// their original names. Packets are without Engine.IO's `4`. This server has only one namespace
/// and refuses binary events.
enum SocketProtocolTests {
    @Suite("Socket.IO protocol: connect")
    struct SocketConnectTests {
        @Test("should allow connection to the main namespace", arguments: ["0", "0/", "0/,"])
        func mainNamespace(_ packet: String) {
            var driver = SocketSessionDriver()
            #expect(driver.receive(packet) == [.connect(auth: nil, pid: nil, offset: nil)])
            #expect(!driver.session.isConnected)
            #expect(driver.accept(sid: "abc") == [.sent(#"0{"sid":"abc"}"#)])
            #expect(driver.session.isConnected)
        }

        @Test(
            "should allow connection to the main namespace with a payload",
            arguments: [#"0{"token":"123"}"#, #"0/,{"token":"123"}"#])
        func payload(_ packet: String) {
            var driver = SocketSessionDriver()
            #expect(
                driver.receive(packet) == [
                    .connect(auth: #"{"token":"123"}"#, pid: nil, offset: nil)
                ]
            )
            #expect(
                driver.accept(sid: "abc", pid: "p\"1") == [.sent(#"0{"sid":"abc","pid":"p\"1"}"#)])
        }

        @Test(
            "should disallow connection to an unknown namespace",
            arguments: [
                ("0/random", "/random"), ("0/random,", "/random"),
                (#"0/custom,{"token":"abc"}"#, "/custom"), ("0/é?x=1,", "/é?x=1"),
            ])
        func unknownNamespace(_ packet: String, _ namespace: String) {
            for var driver in [SocketSessionDriver(), SocketSessionDriver.connected()] {
                let wasConnected = driver.session.isConnected
                #expect(
                    driver.receive(packet) == [
                        .sent(#"4\#(namespace),{"message":"Invalid namespace"}"#)
                    ])
                #expect(driver.session.isConnected == wasConnected)
            }
        }

        @Test("should disallow connection with an invalid handshake")
        func invalid() {
            var driver = SocketSessionDriver()
            #expect(driver.receive("abc") == [.end(.malformed(.unknownType(UInt8(ascii: "a"))))])
        }

        @Test("should close the connection if no handshake is received")
        func timeout() {
            var driver = SocketSessionDriver()
            #expect(driver.session.deadline == 45_000)
            #expect(driver.tick(at: 44_999) == [])
            #expect(driver.tick(at: 45_000) == [.end(.connectTimeout)])
            #expect(driver.session.deadline == nil)
        }
    }

    @Suite("Socket.IO protocol: disconnect")
    struct SocketDisconnectTests {
        @Test("should disconnect from the main namespace", arguments: ["1", "1/", "1/,"])
        func mainNamespace(_ packet: String) {
            var driver = SocketSessionDriver.connected()
            #expect(driver.receive(packet) == [.disconnected])
            #expect(!driver.session.isConnected)
            #expect(driver.receive("0") == [.connect(auth: nil, pid: nil, offset: nil)])
        }
    }

    @Suite("Socket.IO protocol: message")
    struct SocketMessageTests {
        @Test("should send a plain-text packet")
        func plain() {
            var driver = SocketSessionDriver.connected()
            let payload = #"["message",1,"2",{"3":[true]}]"#
            #expect(
                driver.receive("2\(payload)") == [
                    .event(name: "message", payload: payload, ackID: nil)
                ])
            #expect(
                driver.receive("2/,\(payload)") == [
                    .event(name: "message", payload: payload, ackID: nil)
                ])
        }

        @Test("should send a packet with binary attachments: refused with an error")
        func binary() {
            var driver = SocketSessionDriver.connected()
            let packet =
                #"52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
            #expect(
                driver.receive(packet) == [
                    .refused(
                        ackID: nil, event: "message", "binary events are not supported; send JSON")
                ])
            #expect(driver.receiveBinary() == [])
            #expect(driver.receiveBinary() == [])
            #expect(
                driver.receive(#"2["x"]"#) == [.event(name: "x", payload: #"["x"]"#, ackID: nil)])
        }

        @Test("should send a plain-text packet with an ack")
        func ack() {
            var driver = SocketSessionDriver.connected()
            let payload = #"["message-with-ack",1,"2",{"3":[false]}]"#
            #expect(
                driver.receive("2456\(payload)") == [
                    .event(name: "message-with-ack", payload: payload, ackID: 456)
                ])
            #expect(
                driver.receive(#"3456[1,"2",{"3":[false]}]"#) == [
                    .acknowledged(456, #"[1,"2",{"3":[false]}]"#)
                ])
        }

        @Test("should send a packet with binary attachments and an ack: refused with the ack's id")
        func binaryAck() {
            var driver = SocketSessionDriver.connected()
            let packet =
                #"52-789["message",{"_placeholder":true,"num":1},"#
                + #"[{"a":{"num":0,"_placeholder":true}}]]"#
            #expect(
                driver.receive(packet) == [
                    .refused(
                        ackID: 789, event: "message", "binary events are not supported; send JSON")
                ])
        }

        @Test(
            "should close the connection upon invalid format",
            arguments: [
                ("abc", .unknownType(UInt8(ascii: "a"))), ("2{}", .payloadIsNoArray),
                (#"2abc["message-with-ack",1,"2",{"3":[false]}]"#, .badJSON(at: 0)),
            ] as [(String, SocketPacketError)])
        func invalid(_ packet: String, _ error: SocketPacketError) {
            var driver = SocketSessionDriver.connected()
            #expect(driver.receive(packet) == [.end(.malformed(error))])
        }
    }
}
