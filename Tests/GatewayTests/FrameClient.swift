import DialectKit
import Dialects
import GatewayTestSupport
import TestKit

/// A client of a protocol with JSON frames, each of which has its kind in the same field.
struct FrameClient {
    let socket: RawWebSocketClient
    /// The name of the field with the frame's kind.
    let kind: String

    init(_ path: String, kind: String = "type", port: UInt16, fields: [String: String] = [:]) throws
    {
        self.socket = try RawWebSocketClient(path, port: port, fields: fields)
        self.kind = kind
    }

    init(socket: RawWebSocketClient, kind: String = "type") {
        self.socket = socket
        self.kind = kind
    }

    func send(_ text: String) throws { try self.socket.send(text) }

    func next() throws -> JSONObject {
        switch try self.socket.next() {
        case .text(let text): return try JSONObject(text)
        case let other: throw TestFailure("expected a frame and got \(other)")
        }
    }

    /// The next frame of this kind. Frames before it are skipped.
    @discardableResult
    func next(_ kind: String) throws -> JSONObject {
        while true {
            let frame = try self.next()
            if frame[self.kind] == kind { return frame }
        }
    }

    /// Sends a frame and waits for an answer of this kind.
    @discardableResult
    func request(_ text: String, for kind: String) throws -> JSONObject {
        try self.send(text)
        return try self.next(kind)
    }

    /// The server's close frame. Frames before it are skipped.
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
        let settings = DialectSettings(secret: TestNode.secret, clusterName: "test")
        return DialectList.all.map { $0.server(settings) }
    }
}
