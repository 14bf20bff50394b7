import Bytes
import EngineIO
import JSON
import Testing

/// The cases of the protocol's own test suite (socketio/engine.io-protocol, revision 4), under
/// their original names.
enum EngineProtocolTests {
    @Suite("Engine.IO protocol: handshake")
    struct EngineHandshakeTests {
        private func check(_ packet: String, upgrades: JSONTree) throws {
            #expect(packet.first == "0")
            let handshake = try JSONTree(parsing: String(packet.dropFirst()))
            #expect(
                handshake.members?.map(\.name) == [
                    "sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload",
                ])
            #expect(handshake["sid"]?.stringValue == EngineSessionDriver.id.text)
            #expect(handshake["upgrades"] == upgrades)
            #expect(handshake["pingInterval"] == 300)
            #expect(handshake["pingTimeout"] == 200)
            #expect(handshake["maxPayload"] == 1_000_000)
        }

        @Test("HTTP long-polling: should successfully open a session")
        func polling() throws {
            #expect(try readRequest("EIO=4&transport=polling") == .handshake(.polling))
            guard case .payload(0, let packet) = EngineSessionDriver().openingSteps.first else {
                throw UnexpectedEngineStep()
            }
            try self.check(packet, upgrades: ["websocket"])
        }

        @Test("WebSocket: should successfully open a session")
        func webSocket() throws {
            #expect(
                try readRequest("EIO=4&transport=websocket", isWebSocket: true)
                    == .handshake(.webSocket))
            guard case .sent(7, let packet) = EngineSessionDriver(onSocket: 7).openingSteps.first
            else { throw UnexpectedEngineStep() }
            try self.check(packet, upgrades: [])
        }

        @Test(
            "should fail with an invalid 'EIO' query parameter",
            arguments: ["", "&EIO=abc", "&EIO=", "&EIO=3", "&EIO=5", "&EIO=04"])
        func version(_ parameter: String) {
            #expect(throws: EngineRefusal.unsupportedVersion) {
                try readRequest("transport=polling\(parameter)")
            }
            #expect(throws: EngineRefusal.unsupportedVersion) {
                try readRequest("transport=websocket\(parameter)", isWebSocket: true)
            }
        }

        @Test(
            "should fail with an invalid 'transport' query parameter",
            arguments: ["", "&transport=abc", "&transport", "&transport=Polling"])
        func transport(_ parameter: String) {
            #expect(throws: EngineRefusal.unknownTransport) { try readRequest("EIO=4\(parameter)") }
            #expect(throws: EngineRefusal.unknownTransport) {
                try readRequest("EIO=4\(parameter)", isWebSocket: true)
            }
        }

        @Test("should fail with an invalid request method", arguments: [EngineMethod.post, .other])
        func method(_ method: EngineMethod) {
            #expect(throws: EngineRefusal.badHandshakeMethod) {
                try readRequest("EIO=4&transport=polling", method)
            }
        }
    }

    @Suite("Engine.IO protocol: heartbeat")
    struct EngineHeartbeatTests {
        @Test("HTTP long-polling: should send ping/pong packets")
        func polling() {
            var driver = EngineSessionDriver()
            for round in 1...3 {
                #expect(driver.poll(round) == [])
                #expect(driver.session.deadline == driver.now + 300)
                #expect(driver.tick(at: driver.now + 299) == [])
                #expect(driver.tick(at: driver.now + 1) == [.payload(round, "2")])
                #expect(driver.post(round + 100, "3") == [.accepted(round + 100)])
            }
        }

        @Test("HTTP long-polling: should close the session upon ping timeout")
        func pollingTimeout() {
            var driver = EngineSessionDriver()
            #expect(driver.tick(at: 300) == [])
            #expect(driver.session.deadline == 500)
            #expect(driver.tick(at: 499) == [])
            #expect(driver.tick(at: 500) == [.closed(.pingTimeout)])
            #expect(driver.session.deadline == nil)
            #expect(driver.poll(1) == [.refused(1, .unknownSession)])
        }

        @Test("WebSocket: should send ping/pong packets")
        func webSocket() {
            var driver = EngineSessionDriver(onSocket: 1)
            for _ in 1...3 {
                #expect(driver.tick(at: driver.now + 300) == [.sent(1, "2")])
                #expect(driver.receive("3", on: 1) == [])
            }
        }

        @Test("WebSocket: should close the session upon ping timeout")
        func webSocketTimeout() {
            var driver = EngineSessionDriver(onSocket: 1)
            #expect(driver.tick(at: 300) == [.sent(1, "2")])
            #expect(driver.tick(at: 500) == [.closedSocket(1, 1001), .closed(.pingTimeout)])
        }
    }

    @Suite("Engine.IO protocol: close")
    struct EngineCloseTests {
        @Test("HTTP long-polling: should forcefully close the session")
        func polling() {
            var driver = EngineSessionDriver()
            #expect(driver.poll(1) == [])
            #expect(driver.post(2, "1") == [.accepted(2), .payload(1, "6"), .closed(.byClient)])
            #expect(driver.poll(3) == [.refused(3, .unknownSession)])
        }

        @Test("WebSocket: should forcefully close the session")
        func webSocket() {
            var driver = EngineSessionDriver(onSocket: 1)
            #expect(driver.receive("1", on: 1) == [.closedSocket(1, 1001), .closed(.byClient)])
        }

        @Test("should close the session upon cancelled polling request")
        func cancelled() {
            var driver = EngineSessionDriver()
            _ = driver.poll(1)
            #expect(driver.pollAborted(1) == [.closed(.transportClosed)])
            #expect(driver.poll(2) == [.refused(2, .unknownSession)])
        }
    }

    @Suite("Engine.IO protocol: upgrade")
    struct EngineUpgradeTests {
        private func upgraded() -> EngineSessionDriver {
            var driver = EngineSessionDriver()
            _ = driver.openSocket(1)
            _ = driver.receive("2probe", on: 1)
            _ = driver.receive("5", on: 1)
            return driver
        }

        @Test("should successfully upgrade from HTTP long-polling to WebSocket")
        func success() {
            var driver = EngineSessionDriver()
            #expect(driver.openSocket(1) == [])
            #expect(driver.receive("2probe", on: 1) == [.sent(1, "3probe")])
            #expect(driver.poll(1) == [.payload(1, "6")])
            #expect(driver.receive("5", on: 1) == [.upgraded(1)])
            #expect(driver.receive("4hello", on: 1) == [.message("hello")])
            #expect(driver.send("4hello") == [.sent(1, "4hello")])
        }

        @Test("should ignore HTTP requests with same sid after upgrade")
        func requests() {
            var driver = self.upgraded()
            #expect(driver.poll(1) == [.refused(1, .badRequest)])
            #expect(driver.post(2, "4hello") == [.refused(2, .badRequest)])
            #expect(driver.receive("4hello", on: 1) == [.message("hello")])
        }

        @Test("should ignore WebSocket connection with same sid after upgrade")
        func sockets() {
            var driver = self.upgraded()
            #expect(driver.openSocket(2) == [.closedSocket(2, 1008)])
            #expect(driver.socketClosed(2) == [])
            #expect(driver.receive("4hello", on: 1) == [.message("hello")])
        }
    }

    @Suite("Engine.IO protocol: payload")
    struct EngineTransferTests {
        @Test(
            "HTTP long-polling: should send and receive a payload containing one plain text packet")
        func one() {
            var driver = EngineSessionDriver()
            #expect(driver.post(1, "4hello") == [.message("hello"), .accepted(1)])
            #expect(driver.send("4hello") == [])
            #expect(driver.poll(2) == [.payload(2, "4hello")])
        }

        @Test(
            """
            HTTP long-polling: should send and receive a payload containing several plain text \
            packets
            """
        )
        func several() {
            var driver = EngineSessionDriver()
            #expect(
                driver.post(1, "4test1\u{1E}4test2\u{1E}4test3") == [
                    .message("test1"), .message("test2"), .message("test3"), .accepted(1),
                ])
            #expect(driver.poll(2) == [])
            for packet in ["4test1", "4test2", "4test3"] { #expect(driver.send(packet) == []) }
            #expect(driver.flush() == [.payload(2, "4test1\u{1E}4test2\u{1E}4test3")])
        }

        @Test(
            """
            HTTP long-polling: should send and receive a payload containing plain text and \
            binary packets
            """
        )
        func binary() {
            var driver = EngineSessionDriver()
            #expect(
                driver.post(1, "4hello\u{1E}bAQIDBA==") == [
                    .message("hello"), .binary, .accepted(1),
                ])
        }

        @Test("HTTP long-polling: should close the session upon invalid packet format")
        func invalid() {
            var driver = EngineSessionDriver()
            #expect(
                driver.post(1, "abc") == [
                    .refused(1, .badRequest), .closed(.malformed(.unknownType(UInt8(ascii: "a")))),
                ])
            #expect(driver.poll(2) == [.refused(2, .unknownSession)])
        }

        @Test("HTTP long-polling: should close the session upon duplicate poll requests")
        func duplicate() {
            var driver = EngineSessionDriver()
            _ = driver.poll(1)
            #expect(
                driver.poll(2) == [
                    .refused(2, .badRequest), .payload(1, "1"), .closed(.secondPoll),
                ])
            #expect(driver.poll(3) == [.refused(3, .unknownSession)])
        }

        @Test("WebSocket: should send and receive a plain text packet")
        func text() {
            var driver = EngineSessionDriver(onSocket: 1)
            #expect(driver.receive("4hello", on: 1) == [.message("hello")])
            #expect(driver.send("4hello") == [.sent(1, "4hello")])
        }

        @Test("WebSocket: should send and receive a binary packet")
        func binaryFrame() {
            var driver = EngineSessionDriver(onSocket: 1)
            #expect(driver.receiveBinary(on: 1) == [.binary])
        }

        @Test("WebSocket: should close the session upon invalid packet format")
        func invalidFrame() {
            var driver = EngineSessionDriver(onSocket: 1)
            #expect(
                driver.receive("abc", on: 1) == [
                    .closedSocket(1, 1002), .closed(.malformed(.unknownType(UInt8(ascii: "a")))),
                ])
        }
    }
}

struct UnexpectedEngineStep: Error {}

func readRequest(_ query: String, _ method: EngineMethod = .get, isWebSocket: Bool = false)
    throws(EngineRefusal) -> EngineRequest
{
    let bytes = Array(query.utf8)
    return try EngineRequest(method, query: bytes.span.bytes, isWebSocket: isWebSocket)
}
