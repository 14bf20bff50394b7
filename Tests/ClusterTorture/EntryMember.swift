import Foundation
import SeededRandom
import Synchronization
import TestKit

/// Enters new conversations at one node while another client writes in them at another.
///
/// The reader must receive every message that is sent after it entered, unless its connection ends.
/// In each round it enters in another way.
final class EntryMember {
    private enum Way: CaseIterable { case conversations, agents, pets, chats, rooms, invitation }

    /// A round that a fault has interrupted.
    private struct EntryInterruption: Error {}

    private let context: TortureContext
    private var random: SeededGenerator
    private var rounds = 0
    private static let messages = 3
    /// The time for an answer of the server.
    private static let answerTimeout = Duration.seconds(7)
    /// A node may be frozen, and notices lost messages after a few seconds.
    private static let deliveryTimeout = Duration.seconds(30)

    private init(seed: UInt64, context: TortureContext) {
        self.context = context
        self.random = SeededGenerator(seed: seed)
    }

    static func start(seed: UInt64, context: TortureContext) {
        Thread.detachNewThread {
            let member = EntryMember(seed: seed, context: context)
            while context.phase == .running {
                member.rounds += 1
                let way = Way.allCases[member.rounds % Way.allCases.count]
                do {
                    try way == .invitation ? member.invite() : member.enter(way)
                    context.journal.count { $0.entries += 1 }
                } catch {
                    usleep(300_000)
                }
            }
        }
    }

    private func connect(_ path: String, _ user: String, in conversations: [String] = [])
        throws -> RawWebSocketClient
    {
        let ports = self.context.clientPorts.withLock { $0.sorted { $0.key < $1.key } }
        guard let node = self.random.pick(ports) else { throw EntryInterruption() }
        let token = try ConfabServer.token(for: user, conversations: conversations)
        return try RawWebSocketClient(
            "\(path)\(path.contains("?") ? "&" : "?")token=\(token)", port: node.value,
            within: Self.answerTimeout)
    }

    /// Waits for a text frame with this part.
    ///
    /// - Returns: the frame; nil if the time has passed.
    private func frame(
        with part: String, of socket: RawWebSocketClient, within time: Duration
    ) throws -> String? {
        let deadline = Deadline(within: time)
        while !deadline.isExpired {
            switch try socket.nextIfAny(within: deadline.remaining) {
            case .text(let text): if text.contains(part) { return text }
            case .close, .end: throw EntryInterruption()
            default: break
            }
        }
        return nil
    }

    /// Enters by connecting, in Rooms by `join_room`. The other client sends when both are there.
    private func enter(_ way: Way) throws {
        let room = "entry-\(self.rounds)"
        let writer = try self.connect("/conversations/\(room)/", "writer", in: [room])
        let path =
            switch way {
            case .agents: "/v1/ws?channel_id=\(room)"
            case .pets: "/ws/"
            case .chats: "/ws/chats/"
            case .rooms: "/socket.io/?EIO=4&transport=websocket"
            case .conversations, .invitation: "/conversations/\(room)/"
            }
        let reader = try self.connect(path, "reader-\(room)", in: [room])
        defer { for socket in [writer, reader] { socket.dropConnection() } }
        if way == .rooms { try self.join(room, by: reader) }
        for number in 1...Self.messages {
            try writer.send(
                #"""
                {"action":"send_message","content":"\#(room) says \#(number)",\#
                "local_id":"\#(number)"}
                """#)
        }
        try self.expect(
            (1...Self.messages).map { "\(room) says \($0)" }, at: reader, "\(way)",
            sentBy: writer, answers: (1...Self.messages).map { #""local_id":"\#($0)""# })
    }

    private func join(_ room: String, by reader: RawWebSocketClient) throws {
        try reader.send("40")
        try reader.send(#"42["join_room",{"room_id":"\#(room)"}]"#)
        let start = #"42["conversation_state""#
        guard try self.frame(with: start, of: reader, within: Self.answerTimeout) != nil else {
            throw EntryInterruption()
        }
    }

    /// Enters because another user creates the conversation, and sends in it at once.
    private func invite() throws {
        let (creator, provider) = (UUID().uuidString, UUID().uuidString)
        let writer = try self.connect("/ws/", creator)
        let reader = try self.connect("/ws/", provider)
        defer { for socket in [writer, reader] { socket.dropConnection() } }
        try writer.send(
            #"""
            {"event":"new_conversation","data":{"pet_id":"\#(creator)",\#
            "providers":["\#(provider)"]}}
            """#)
        guard
            let created = try self.frame(
                with: "conversation_created", of: writer, within: Self.answerTimeout),
            let room = try JSONObject(created).object("data")?["conversation_id"]
        else { throw EntryInterruption() }
        for number in 1...Self.messages {
            try writer.send(
                #"""
                {"event":"message","data":{"conversation_id":"\#(room)",\#
                "content":"says \#(number)","local_id":"\#(number)"}}
                """#)
        }
        // A notice is lost if the store is unavailable. Then the reader finds the conversation when
        // it connects again.
        guard
            try self.frame(
                with: "conversation_created", of: reader, within: Self.answerTimeout) != nil
        else { throw EntryInterruption() }
        try self.expect(
            (1...Self.messages).map { "says \($0)" }, at: reader, "invitation to \(room)",
            sentBy: writer, answers: (1...Self.messages).map { #""local_id":"\#($0)""# })
    }

    /// Checks that the reader receives these contents, in this order, if all were answered.
    private func expect(
        _ contents: [String], at reader: RawWebSocketClient, _ way: String,
        sentBy writer: RawWebSocketClient, answers: [String]
    ) throws {
        for answer in answers {
            guard
                let text = try self.frame(with: answer, of: writer, within: Self.answerTimeout),
                !text.contains(#""error""#)
            else { throw EntryInterruption() }
        }
        for content in contents {
            let text = try self.frame(with: content, of: reader, within: Self.deliveryTimeout)
            guard text == nil else { continue }
            self.context.journal.check {
                $0.recordViolation("entry by \(way) has missed \"\(content)\"")
            }
            throw EntryInterruption()
        }
    }
}
