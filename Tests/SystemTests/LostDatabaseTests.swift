import Foundation
import TestKit
import TestTraits
import Testing

/// The database of a running node is removed or changed. Later messages must not be acknowledged,
/// because they would be lost.
@Suite("A node whose database file", .programs, .serialized, .ownThread)
struct LostDatabaseTests {
    enum DatabaseLoss: String, CaseIterable, CustomTestStringConvertible {
        /// `rm chat.db*`
        case removed
        /// `mv chat.db* elsewhere/`
        case moved
        /// All files are moved away, and another node's database is in their place.
        case replaced
        /// `cp other.db chat.db`: the same file with different content.
        case overwritten
        /// `truncate -s 0 chat.db`
        case truncated
        /// Only the write-ahead log, with the newest messages, is removed.
        case withoutLog
        case withTruncatedLog

        var testDescription: String { self.rawValue }
    }

    private static let parts = ["confab.db", "confab.db-wal", "confab.db-shm"]

    private func move(_ folder: TemporaryFolder, to other: String, back: Bool = false) throws {
        for part in Self.parts
        where FileManager.default.fileExists(atPath: back ? "\(other)/\(part)" : folder.file(part))
        {
            let (from, to) =
                back
                ? ("\(other)/\(part)", folder.file(part)) : (folder.file(part), "\(other)/\(part)")
            try FileManager.default.moveItem(atPath: from, toPath: to)
        }
    }

    /// Another node's complete database with one message.
    private func otherDatabase() throws -> Data {
        let server = try ConfabServer(store: .sqlite)
        try server.connect("mallory", to: "lobby").post("of another node")
        try server.stop()
        return try Data(contentsOf: URL(fileURLWithPath: server.folder.file("confab.db")))
    }

    private func apply(
        _ fault: DatabaseLoss, _ folder: TemporaryFolder, movingTo otherFolder: String
    )
        throws
    {
        switch fault {
        case .removed:
            for part in Self.parts { try FileManager.default.removeItem(atPath: folder.file(part)) }
        case .moved: try self.move(folder, to: otherFolder)
        case .replaced:
            let other = try self.otherDatabase()
            try self.move(folder, to: otherFolder)
            try other.write(to: URL(fileURLWithPath: folder.file("confab.db")))
        case .overwritten:
            let other = try self.otherDatabase()
            let file = try #require(FileHandle(forWritingAtPath: folder.file("confab.db")))
            try file.truncate(atOffset: 0)
            try file.write(contentsOf: other)
            try file.close()
        case .truncated: #expect(truncate(folder.file("confab.db"), 0) == 0)
        case .withoutLog: try FileManager.default.removeItem(atPath: folder.file("confab.db-wal"))
        case .withTruncatedLog: #expect(truncate(folder.file("confab.db-wal"), 0) == 0)
        }
    }

    /// The messages that a new client reads.
    private func contents(of server: ConfabServer) throws -> [String] {
        try server.connect("reader").wholeHistory().compactMap { $0["content"] }
    }

    @Test(
        "is lost acknowledges nothing, reports it, and has no false data after a restart",
        arguments: TestRun.isLong ? DatabaseLoss.allCases : [.replaced, .truncated])
    func lost(_ fault: DatabaseLoss) throws {
        let server = try ConfabServer(store: .sqlite)
        let path = server.folder.file("confab.db")
        // Connected first, because notifying it of others' arrivals later would need the lost
        // store.
        let observer = try server.connect("witness")
        try observer.synchronize()
        let participants = try ProtocolAdapter.all.map { adapter in
            let participant = try DialectPairTests.DialectParticipant(
                adapter, as: adapter.name, in: "lobby", at: server.port, secret: ConfabServer.secret
            )
            try participant.synchronize()
            return participant
        }
        for (number, participant) in participants.enumerated() {
            try participant.sendMessage("before")
            // After all clients have received the message, none of them reads it from the store.
            for receiver in participants where receiver !== participant {
                try receiver.awaitMessage(number + 1, participant.adapter.name, "before")
            }
        }
        #expect(try observer.history().count == participants.count)

        let otherFolder = try TemporaryFolder()
        try self.apply(fault, server.folder, movingTo: otherFolder.path)
        for participant in participants { try participant.sendMessage("lost") }
        for participant in participants {
            let errorText = try participant.refusal(after: participants.count)
            // If the machine pauses for 5 s, the outcome is unknown.
            #expect(
                errorText.hasPrefix("this could not be stored")
                    || errorText.hasPrefix("it is unknown"), "\(errorText)")
        }
        let created = try HTTPReply.post(
            "/api/conversations/create", #"{"title":"lost","user_id":"ann"}"#, port: server.port)
        #expect(created.status == 503)
        #expect(created.body.contains(#""success":false"#))

        try Deadline.wait(for: "health 503", untilTrue: { try server.health().status == 503 })
        let health = try JSONObject(server.health().body)
        #expect(health["status"] == "degraded")
        #expect(health["reason"]?.contains(path) == true, "\(health)")
        // Reads fail too, because the data would come from a lost file.
        try observer.send(#"{"action":"fetch_messages"}"#)
        #expect(try observer.next("error")["action"] == "fetch_messages")
        try Deadline.wait(for: "verify to name the file") {
            let result = try confab("verify", "lobby", at: server.adminPort)
            #expect(result.status != 0)
            #expect(!result.output.contains("complete"), "\(result)")
            return result.errors.contains("The store could not be read: \(path)") ? () : nil
        }

        if fault == .moved {
            // Once the files are back, the node recovers.
            try self.move(server.folder, to: otherFolder.path, back: true)
            try server.awaitHealthy()
            try observer.post("after")
            #expect(try confab("verify", "lobby", at: server.adminPort).status == 0)
        }
        try server.crash()
        // As the manual says, a log is useless without its database.
        if fault == .overwritten {
            for part in Self.parts.dropFirst() {
                try FileManager.default.removeItem(atPath: server.folder.file(part))
            }
        }
        let restarted = try ConfabServer(store: .sqlite, in: server.folder)
        let contents = try self.contents(of: restarted)
        #expect(!contents.contains("lost"))
        switch fault {
        case .moved: #expect(contents == participants.map { _ in "before" } + ["after"])
        case .replaced, .overwritten: #expect(contents == ["of another node"])
        case .removed, .truncated, .withoutLog, .withTruncatedLog: break
        }
        try restarted.connect("reader").post("after the restart")
    }

    @Test("was replaced leaves the new file unchanged when it stops", .long)
    func stopLeavesForeignFiles() throws {
        let server = try ConfabServer(store: .sqlite)
        try server.connect("ann").post("before")
        let otherFolder = try TemporaryFolder()
        try self.move(server.folder, to: otherFolder.path)
        for part in Self.parts { try server.folder.write("another's \(part)", to: part) }
        try server.stop()
        for part in Self.parts { #expect(try server.folder.read(part) == "another's \(part)") }

        let discardFolder = try TemporaryFolder()
        try self.move(server.folder, to: discardFolder.path)
        try self.move(server.folder, to: otherFolder.path, back: true)
        #expect(
            try self.contents(of: try ConfabServer(store: .sqlite, in: server.folder)) == ["before"]
        )
    }
}
