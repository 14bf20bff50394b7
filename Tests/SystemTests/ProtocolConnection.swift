import Foundation
import TestKit
import Testing

/// A connection for raw frames of any protocol.
final class ProtocolConnection {
    private let socket: RawWebSocketClient
    private(set) var receivedFrames: [String] = []

    init(_ path: String, at server: ConfabServer) throws {
        self.socket = try RawWebSocketClient(path, port: server.port)
    }

    /// Connects with a token and joins a conversation.
    convenience init(
        _ adapter: ProtocolAdapter, _ user: String, in room: String, at server: ConfabServer
    ) throws {
        let token = try ConfabServer.token(for: user, conversations: [room])
        try self.init(adapter.path(room, token, nil), at: server)
        for (behind, text) in adapter.entryFrames(room) {
            if !behind.isEmpty { try self.awaitFrame(behind) }
            try self.send(text)
        }
        // After this answer, the connection is subscribed to the conversation.
        let unknownAction = "are you inside?"
        try self.send(adapter.unknownRequest(unknownAction))
        try self.awaitFrame(unknownAction)
    }

    /// Connects as a guest with the Rooms protocol and joins a room.
    convenience init(
        guest user: String, named name: String, in room: String, at server: ConfabServer
    ) throws {
        try self.init("/socket.io/?EIO=4&transport=websocket", at: server)
        try self.awaitFrame("0{")
        try self.send("40")
        try self.awaitFrame("40{")
        try self.send(
            #"42["join_room",{"room_id":"\#(room)","user_id":"\#(user)","username":"\#(name)"}]"#)
    }

    func send(_ text: String) throws { try self.socket.send(text) }

    /// Waits for a frame that contains all of these texts.
    @discardableResult
    func awaitFrame(_ texts: String...) throws -> String {
        let deadline = Deadline()
        while true {
            if let frame = self.receivedFrames.last(where: { frame in
                texts.allSatisfy { frame.contains($0) }
            }) {
                return frame
            }
            switch try self.socket.next(within: deadline.remaining) {
            case .text(let text): self.receivedFrames.append(text)
            case .close(let code, let reason):
                self.receivedFrames.append("close \(code ?? 0) \(reason)")
            default: throw TestFailure("no frame with \(texts), but \(self.receivedFrames)")
            }
        }
    }

    func dropConnection() { self.socket.dropConnection() }
}
