import Foundation
import TestKit
import Testing

/// Other documents show placeholders instead of values. The server's frames must have the
/// documented fields with the documented types.
@Suite("The published shapes of frames")
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
        func next(_ wanted: String, by client: any StockClient) throws -> JSONObject {
            let deadline = Deadline()
            var passed: [String] = []
            while true {
                guard case .text(let text) = try client.next(within: deadline.remaining) else {
                    throw TestFailure("no \(wanted), but \(passed)")
                }
                let frame = try JSONObject(text)
                if frame[self.typeField] == wanted { return frame }
                passed.append(text)
            }
        }

        func expect(
            _ wanted: String, as document: PublishedDocument, in language: String = "json",
            by client: any StockClient
        ) throws
            -> JSONObject
        {
            let documented = try #require(
                document.objects(in: language).first {
                    $0[self.typeField] == wanted && $0.text.contains("data")
                },
                "the document has no \(wanted)")
            let frame = try self.next(wanted, by: client)
            let differences = try Shape(frame).differences(from: Shape(documented))
            #expect(differences.isEmpty, "\(wanted): \(differences), in \(frame)")
            return frame
        }

        /// The documented request, with real values for the placeholders.
        func request(
            _ wanted: String, of document: PublishedDocument, _ values: [String: String] = [:]
        ) throws -> String {
            let documented = try #require(
                document.objects(in: "json").last { $0[self.typeField] == wanted },
                "the document has no \(wanted)")
            return values.reduce(documented.text.replacing("\n", with: " ")) { text, value in
                text.replacing(try! Regex(#""\#(value.key)"\s*:\s*"[^"]*""#)) { _ in
                    #""\#(value.key)":\#(value.value)"#
                }
            }
        }
    }

    @Test(
        "match those of Pets", .enabled(if: PublishedDocument.pets.exists), arguments: Deployment.allCases,
        StockClientKind.allCases)
    func pets(_ place: Deployment, _ kind: StockClientKind) throws {
        let seed = PublishedDocument.pets
        let talk = PublishedShapeSession(system: try DeployedSystem(place), typeField: "event")
        let provider = try talk.connect("/ws/", "123e4567-e89b-12d3-a456-426614174001", kind)
        _ = try talk.next("connected", by: provider)
        let client = try talk.connect(
            "/ws/", "alice", conversations: ["123e4567-e89b-12d3-a456-426614174000"], kind)
        _ = try talk.next("connected", by: client)
        // The last part of the document has requests with real values.
        try client.send(talk.request("conversations", of: seed))
        _ = try talk.next("conversations", by: client)
        try client.send(talk.request("message", of: seed))
        let sent = try talk.expect("message_sent", as: seed, by: client)
        #expect(sent.object("data")?["content"] == "Hello, this is a message!")
        try client.send(talk.request("new_conversation", of: seed))
        let made = try talk.expect("conversation_created", as: seed, by: client)
        let told = try talk.expect("conversation_created", as: seed, by: provider)
        #expect(made.text == told.text)
        try client.send(#"{"event":"message","data":{}}"#)
        _ = try talk.expect("error", as: seed, by: client)
    }

    @Test(
        "match those of Chats", .enabled(if: PublishedDocument.chats.exists),
        arguments: Deployment.allCases, StockClientKind.allCases)
    func chats(_ place: Deployment, _ kind: StockClientKind) throws {
        let seed = PublishedDocument.chats
        let talk = PublishedShapeSession(system: try DeployedSystem(place), typeField: "type")
        let ann = try talk.connect("/ws/chats/", "7", name: "Ann", kind)
        let bob = try talk.connect("/ws/chats/", "bob", name: "Bob", kind)
        try ann.send(talk.request("createEmptyChat", of: seed))
        let made = try talk.expect("emptyChatCreated", as: seed, by: ann)
        let chat = String(Int(try #require(made.object("data")?.number("id"))))
        try ann.send(talk.request("joinChat", of: seed, ["chat": chat, "last_read_message": "0"]))
        _ = try talk.expect("chatJoined", as: seed, by: ann)
        try bob.send(talk.request("joinChat", of: seed, ["chat": chat, "last_read_message": "0"]))
        _ = try talk.expect("chatJoined", as: seed, by: bob)
        try ann.send(talk.request("getChatDetails", of: seed, ["chatId": chat]))
        let details = try talk.expect("chatDetails", as: seed, by: ann)
        #expect(
            details.object("data")?.objects("participants")?.map { $0["username"] } == [
                "Ann", "Bob",
            ])
        try bob.send(
            talk.request(
                "newMessage", of: seed, ["chat": chat, "text": #""Hello""#, "is_read": "false"]))
        for client in [ann, bob] {
            let message = try talk.expect("messageCreated", as: seed, by: client)
            #expect(message.object("data")?["text"] == "Hello")
        }
        let values = [
            "chatId": chat, "date_from": #""last_7_days""#, "date_to": #""9999-12-31""#,
            "last": "5",
        ]
        try ann.send(talk.request("getChatMessages", of: seed, values))
        let messages = try talk.expect("chatMessages", as: seed, by: ann)
        #expect(messages.objects("data")?.count == 1)
        try ann.send(talk.request("getChats", of: seed))
        let list = try talk.expect("chatsList", as: seed, by: ann)
        #expect(list.objects("data")?.count == 1)
    }
}
