import Foundation
import TestKit
import TestTraits
import Testing

/// The requirements of the Socket.IO v5 protocol on a server, with the names of its own test suite.
@Suite("Socket.IO protocol", .programs, .ownThread)
struct SocketIOConformanceTests {
    /// A client with an open WebSocket that has not sent CONNECT.
    private final class SocketIOTestClient {
        let socket: RawWebSocketClient

        init(_ server: ConfabServer) throws {
            self.socket = try RawWebSocketClient(
                "/socket.io/?EIO=4&transport=websocket", port: server.port)
            guard try self.next().hasPrefix("0{") else { throw TestFailure("no handshake") }
        }

        func next() throws -> String {
            guard case .text(let text) = try self.socket.next() else {
                throw TestFailure("no text")
            }
            return text
        }

        func connect() throws {
            try self.socket.send(
                #"40{"token":"\#(ConfabServer.token(for: "ann", conversations: []))"}"#)
            #expect(try self.next().hasPrefix(#"40{"sid":""#))
            #expect(try self.next() == #"42["offset",""]"#)
        }

        /// Sends a request that is always answered, to check that the connection is open.
        func isAlive() throws -> Bool {
            try self.socket.send(#"4299["nothing",{}]"#)
            return try self.next().hasPrefix("4399[")
        }

        func isClosed() throws -> Bool {
            while true {
                switch try self.socket.next() {
                case .close, .end: return true
                case .text(let text) where text.hasPrefix("44") || text.hasPrefix("42"): continue
                default: return false
                }
            }
        }
    }

    // MARK: connect

    @Test("connect: should allow connection to the main namespace, with and without a payload")
    func connect() throws {
        let server = try ConfabServer(["--anonymous", "on"])
        let plain = try SocketIOTestClient(server)
        try plain.socket.send("40")
        #expect(try plain.next().hasPrefix(#"40{"sid":""#))
        let withPayload = try SocketIOTestClient(server)
        try withPayload.connect()
        #expect(try withPayload.isAlive())
    }

    @Test(
        "connect: should disallow connection to an unknown namespace, and with an invalid handshake"
    )
    func refused() throws {
        let server = try ConfabServer()
        let client = try SocketIOTestClient(server)
        try client.socket.send("40/random")
        #expect(try client.next() == #"44/random,{"message":"Invalid namespace"}"#)
        try client.socket.send(#"40/custom,{"token":"123"}"#)
        #expect(try client.next() == #"44/custom,{"message":"Invalid namespace"}"#)
        try client.socket.send("4abc")
        #expect(try client.isClosed())
    }

    @Test("connect: should close the connection if no handshake is received")
    func silent() throws {
        let server = try ConfabServer(["--limit", "engineio-connect-timeout-ms=300"])
        #expect(try SocketIOTestClient(server).isClosed())
    }

    // MARK: disconnect

    @Test("disconnect: should disconnect from the main namespace")
    func disconnect() throws {
        let server = try ConfabServer()
        let client = try SocketIOTestClient(server)
        try client.connect()
        try client.socket.send("41")
        // The client may connect again. Anything that it sends before ends the connection.
        try client.connect()
        #expect(try client.isAlive())
        try client.socket.send("41")
        try client.socket.send(#"42["nothing",{}]"#)
        #expect(try client.isClosed())
    }

    // MARK: message

    @Test("message: should send a plain-text packet, and one with an ack")
    func message() throws {
        let server = try ConfabServer()
        let client = try SocketIOTestClient(server)
        try client.connect()
        try client.socket.send(#"42["nothing",{}]"#)
        #expect(
            try client.next()
                == #"42["error",{"message":"event: \"nothing\" is unknown","event":"nothing"}]"#)
        try client.socket.send(#"42456["nothing",{}]"#)
        #expect(
            try client.next() == #"43456[{"ok":false,"error":"event: \"nothing\" is unknown"}]"#)
        try client.socket.send(#"429007199254740991["nothing",{}]"#)
        #expect(try client.next().hasPrefix("439007199254740991["))
    }

    @Test(
        "message: packets with binary attachments are refused, and the attachments dropped"
    )
    func binary() throws {
        let server = try ConfabServer()
        let client = try SocketIOTestClient(server)
        try client.connect()
        try client.socket.send(#"451-["message",{"_placeholder":true,"num":0}]"#)
        #expect(
            try client.next()
                == #"42["error",{"message":"binary events are not supported; send "#
                + #"JSON","event":"message"}]"#
        )
        try client.socket.send(binary: [1, 2, 3])
        try client.socket.send(
            #"452-7["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
        #expect(
            try client.next()
                == #"437[{"ok":false,"error":"binary events are not supported; send JSON"}]"#)
        try client.socket.send(binary: [1])
        try client.socket.send(binary: [2])
        #expect(try client.isAlive())
        try client.socket.send(binary: [3])
        #expect(try client.isClosed())
    }

    /// In this order: unknown packet types, payloads, ack ids, packets that clients may not send,
    /// and placeholders without an attachment.
    private static let invalid = [
        "4abc", "47", "4",
        "42{}", "42abc", #"42"message""#, "42[]", "42[{}]", "42", #"42["message""#, "40[]", "41{}",
        #"42abc["message",{}]"#, #"4200["message",{}]"#, #"42-1["message",{}]"#,
        #"4299999999999999999999["message",{}]"#, "43[1]",
        #"44{"message":"no"}"#, #"42["connect",{}]"#, #"42["disconnect",{}]"#, "40",
        #"42/custom,["message",{}]"#,
        #"451-["message"]"#, #"451-["message",{"_placeholder":true,"num":1}]"#,
        #"452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        #"45["message"]"#, #"459999999-["message"]"#,
    ]

    @Test("message: should close the connection upon invalid format")
    func malformed() throws {
        let server = try ConfabServer()
        for packet in Self.invalid {
            let client = try SocketIOTestClient(server)
            try client.connect()
            try client.socket.send(packet)
            #expect(try client.isClosed(), "\(packet)")
        }
    }
}
