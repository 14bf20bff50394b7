import Foundation
import TestKit
import TestTraits
import Testing

/// The client in the published document, with a stock `socket.io-client` in Chromium. It has no
/// token and default transports.
@Suite("The published client of Rooms", .programs, .ownThread)
struct PublishedRoomsClientTests {
    /// A client equivalent to the published one.
    private static let equivalentClient = """
        const socket = io('http://localhost:8081');
        socket.emit('join_room', { room_id: 'abc12345', user_id: 'user123', username: 'John Doe' });
        socket.on('new_message', (message) => console.log('New message:', message));
        """

    @Test("joins without a token, and shows messages")
    func runEquivalentClient() throws { try self.run(Self.equivalentClient) }

    @Test("works as printed, except for the address", .published(.rooms))
    func runPublishedClient() throws {
        let block = try #require(
            PublishedDocument.rooms.blocks("javascript").first { $0.contains("join_room") })
        // The page loads the library with a script instead of an import.
        try self.run(
            block.split(separator: "\n").filter { !$0.hasPrefix("import ") }.joined(separator: "\n")
        )
    }

    private func run(_ script: String) throws {
        let server = try ConfabServer(["--anonymous", "on"])
        // Before the session that answers no pings.
        let tab = try Browser().open("http://127.0.0.1:\(server.port)/api/health")
        let maker = try RESTClient("maker", at: server, conversations: [])
        let room = try maker.create()
        let creator = try PollingClient(port: server.port)
        try creator.connectNamespace(token: ConfabServer.token(for: "maker", conversations: []))
        try creator.post(#"42["join_room",{"room_id":"\#(room)"}]"#)
        func hear(_ start: String) throws -> String {
            let deadline = Deadline(within: .seconds(30))
            while true {
                if let packet = try creator.packets(1).first(where: { $0.hasPrefix(start) }) {
                    return packet
                }
                if deadline.isExpired { throw TestFailure("no \(start)") }
            }
        }
        _ = try hear(#"42["conversation_state""#)

        try tab.evaluate(
            String(contentsOfFile: Checkout.tool("socket.io-", ".min.js"), encoding: .utf8)
                + "; undefined")
        try tab.evaluate(
            "var lines = []; console.log = (...words) => "
                + "lines.push(words.map((word) => JSON.stringify(word)).join(' ')); undefined"
        )
        try tab.evaluate(
            script.replacing("http://localhost:8081", with: "http://127.0.0.1:\(server.port)")
                .replacing("abc12345", with: room) + "\n; undefined")
        let joined = try hear(#"42["user_joined""#)
        #expect(
            joined.hasPrefix(
                #"42["user_joined",{"room_id":"\#(room)","user_id":"user123","username":"John "#
                    + #"Doe","#
            ), "\(joined)")
        func isShown(_ content: String, by user: String, named name: String) throws -> Bool {
            let start = #""New message:" {"id":"#
            let lines = try tab.runFunctionBody("return lines.join(\"\\n\");").split(
                separator: "\n")
            return lines.contains {
                $0.hasPrefix(start)
                    && $0.contains(
                        #""user_id":"\#(user)","username":"\#(name)","content":"\#(content)""#)
            }
        }
        try creator.post(#"42["send_message",{"room_id":"\#(room)","content":"Hello"}]"#)
        try Deadline.wait(
            for: "the message", within: .seconds(30),
            untilTrue: { try isShown("Hello", by: "maker", named: "maker") })
        try tab.evaluate(
            "socket.emit('send_message', { room_id: '\(room)', content: 'Hi' }); undefined")
        try Deadline.wait(
            for: "its own", within: .seconds(30),
            untilTrue: { try isShown("Hi", by: "user123", named: "John Doe") })
    }
}
