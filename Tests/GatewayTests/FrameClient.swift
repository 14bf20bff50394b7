import AgentsDialect
import ChatsDialect
import ConversationsDialect
import DialectKit
import GatewayTestSupport
import PetsDialect
import RoomsDialect
import TestKit

/// Somebody who speaks one of the protocols of JSON frames with a node, each frame with its kind in the same field.
struct FrameClient {
    let socket: RawWebSocketClient
    /// The field that says what a frame is.
    let kind: String

    init(_ path: String, kind: String = "type", port: UInt16, fields: [String: String] = [:]) throws
    {
        self.socket = try RawWebSocketClient(path, port: port, fields: fields)
        self.kind = kind
    }

    func send(_ text: String) throws { try self.socket.send(text) }

    func next() throws -> JSONObject {
        switch try self.socket.next() {
        case .text(let text): return try JSONObject(text)
        case let other: throw TestFailure("expected a frame and got \(other)")
        }
    }

    /// The next frame of this kind; others on the way to it are left out.
    @discardableResult
    func next(_ wanted: String) throws -> JSONObject {
        while true {
            let frame = try self.next()
            if frame[self.kind] == wanted { return frame }
        }
    }

    /// Sends a frame and waits for the answer of this kind.
    @discardableResult
    func request(_ text: String, for wanted: String) throws -> JSONObject {
        try self.send(text)
        return try self.next(wanted)
    }

    /// How the server ends the connection; frames before are left out.
    func closeEvent() throws -> RawWebSocketClient.Event {
        while true {
            switch try self.socket.next() {
            case .text, .binary, .pong: continue
            case let ending: return ending
            }
        }
    }
}

extension TestNode {
    static var allDialects: [any Dialect] {
        [
            ConversationsDialect(), PetsDialect(), ChatsDialect(),
            RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test")),
            AgentsDialect(),
        ]
    }
}
