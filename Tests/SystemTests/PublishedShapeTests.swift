import Foundation
import TestKit
import TestTraits
import Testing

/// Other documents show placeholders instead of values. The server's frames must have the
/// documented fields with the documented types.
@Suite("The published shapes of frames", .programs, .ownThread)
struct PublishedShapeTests {
    /// The clients of a test, and the field that names the type of a frame.
    private struct PublishedShapeSession {
        let system: DeployedSystem
        /// The field that contains the type of a frame.
        let typeField: String

        func connect(
            _ path: String, _ user: String, name: String? = nil, conversations: [String]? = nil,
            _ kind: StockClientKind
        ) throws
            -> any StockClient
        {
            let token = try self.system.token(user, name: name, conversations: conversations)
            return try kind.connect("\(path)?token=\(token)", port: self.system.port)
        }

        /// The next frame of this type; others are skipped.
        func next(_ type: String, by client: any StockClient) throws -> JSONObject {
            let deadline = Deadline()
            var skipped: [String] = []
            while true {
                guard case .text(let text) = try client.next(within: deadline.remaining) else {
                    throw TestFailure("no \(type), but \(skipped)")
                }
                let frame = try JSONObject(text)
                if frame[self.typeField] == type { return frame }
                skipped.append(text)
            }
        }

        func expect(
            _ type: String, as document: PublishedDocument, in language: String = "json",
            by client: any StockClient
        ) throws
            -> JSONObject
        {
            let documented = try #require(
                document.objects(in: language).first {
                    $0[self.typeField] == type && $0.text.contains("data")
                },
                "the document has no \(type)")
            let frame = try self.next(type, by: client)
            let differences = try Shape(frame).differences(from: Shape(documented))
            #expect(differences.isEmpty, "\(type): \(differences), in \(frame)")
            return frame
        }

        /// The documented request, with real values for the placeholders.
        func request(
            _ type: String, of document: PublishedDocument, _ values: [String: String] = [:]
        ) throws -> String {
            let documented = try #require(
                document.objects(in: "json").last { $0[self.typeField] == type },
                "the document has no \(type)")
            return values.reduce(documented.text.replacing("\n", with: " ")) { text, value in
                text.replacing(try! Regex(#""\#(value.key)"\s*:\s*"[^"]*""#)) { _ in
                    #""\#(value.key)":\#(value.value)"#
                }
            }
        }
    }

    @Test(
        "match those of Pets", .published(.pets),
        arguments: Deployment.usual,
        StockClientKind.allCases)
    func pets(_ deployment: Deployment, _ kind: StockClientKind) throws {
        let document = PublishedDocument.pets
        let session = PublishedShapeSession(
            system: try DeployedSystem(deployment), typeField: "event")
        let provider = try session.connect("/ws/", "123e4567-e89b-12d3-a456-426614174001", kind)
        _ = try session.next("connected", by: provider)
        // Its inbox is read before this answer, so that it learns of conversations created later.
        try provider.send(session.request("conversations", of: document))
        _ = try session.next("conversations", by: provider)
        let client = try session.connect(
            "/ws/", "alice", conversations: ["123e4567-e89b-12d3-a456-426614174000"], kind)
        _ = try session.next("connected", by: client)
        // The last part of the document has requests with real values.
        try client.send(session.request("conversations", of: document))
        _ = try session.next("conversations", by: client)
        try client.send(session.request("message", of: document))
        let sent = try session.expect("message_sent", as: document, by: client)
        #expect(sent.object("data")?["content"] == "Hello, this is a message!")
        try client.send(session.request("new_conversation", of: document))
        let created = try session.expect("conversation_created", as: document, by: client)
        let received = try session.expect("conversation_created", as: document, by: provider)
        #expect(created.text == received.text)
        try client.send(#"{"event":"message","data":{}}"#)
        _ = try session.expect("error", as: document, by: client)
    }

    @Test(
        "match those of Chats", .published(.chats),
        arguments: Deployment.usual, StockClientKind.allCases)
    func chats(_ deployment: Deployment, _ kind: StockClientKind) throws {
        let document = PublishedDocument.chats
        let session = PublishedShapeSession(
            system: try DeployedSystem(deployment), typeField: "type")
        let ann = try session.connect("/ws/chats/", "7", name: "Ann", kind)
        let bob = try session.connect("/ws/chats/", "bob", name: "Bob", kind)
        try ann.send(session.request("createEmptyChat", of: document))
        let created = try session.expect("emptyChatCreated", as: document, by: ann)
        let chat = String(Int(try #require(created.object("data")?.number("id"))))
        try ann.send(
            session.request("joinChat", of: document, ["chat": chat, "last_read_message": "0"]))
        _ = try session.expect("chatJoined", as: document, by: ann)
        try bob.send(
            session.request("joinChat", of: document, ["chat": chat, "last_read_message": "0"]))
        _ = try session.expect("chatJoined", as: document, by: bob)
        try ann.send(session.request("getChatDetails", of: document, ["chatId": chat]))
        let details = try session.expect("chatDetails", as: document, by: ann)
        #expect(
            details.object("data")?.objects("participants")?.map { $0["username"] } == [
                "Ann", "Bob",
            ])
        try bob.send(
            session.request(
                "newMessage", of: document, ["chat": chat, "text": #""Hello""#, "is_read": "false"])
        )
        for client in [ann, bob] {
            let message = try session.expect("messageCreated", as: document, by: client)
            #expect(message.object("data")?["text"] == "Hello")
        }
        let values = [
            "chatId": chat, "date_from": #""last_7_days""#, "date_to": #""9999-12-31""#,
            "last": "5",
        ]
        try ann.send(session.request("getChatMessages", of: document, values))
        let messages = try session.expect("chatMessages", as: document, by: ann)
        #expect(messages.objects("data")?.count == 1)
        try ann.send(session.request("getChats", of: document))
        let list = try session.expect("chatsList", as: document, by: ann)
        #expect(list.objects("data")?.count == 1)
    }
}
