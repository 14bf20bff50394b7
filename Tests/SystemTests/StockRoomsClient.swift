import Foundation
import TestKit
import Testing

/// A third-party client library for Socket.IO.
enum StockRoomsKind: String, CaseIterable, CustomTestStringConvertible {
    case python = "python-socketio"
    case browser = "socket.io-client in Chromium"
    var testDescription: String { self.rawValue }
}

/// The transports that the client uses.
enum StockTransport: String, CaseIterable, CustomTestStringConvertible {
    case polling, websocket
    /// Polling first, and then an upgrade to WebSocket: the default of the clients.
    case upgrading = "default"
    var testDescription: String { self.rawValue }
    var finalTransport: String { self == .polling ? "polling" : "websocket" }
}

/// A third-party client in a room, controlled by a test. Every event is a line `event NAME JSON`.
protocol StockRoomsClient: AnyObject {
    func emit(_ name: String, _ data: String) throws
    /// - Returns: the acknowledgement.
    func call(_ name: String, _ data: String) throws -> JSONObject
    /// All lines so far.
    var lines: [String] { get throws }
    /// Whether the client calls handlers in the order of the events.
    var keepsOrder: Bool { get }
}

extension StockRoomsClient {
    /// The contents of the messages of a room, each as often as it was delivered. They are in the
    /// order of delivery if the client keeps the order.
    func deliveredContents(in room: String) throws -> [String] {
        var messages = try self.lines.filter { $0.hasPrefix("event new_message ") }.map {
            try JSONObject(String($0.dropFirst("event new_message ".count)))
        }
        messages.removeAll { $0["room_id"] != room }
        if !self.keepsOrder {
            messages.sort { (Int($0["id"] ?? "") ?? 0) < (Int($1["id"] ?? "") ?? 0) }
        }
        return messages.map { $0["content"] ?? "" }
    }

    /// The contents that were delivered, or that the state of the room showed after a join.
    func knownContents(in room: String) throws -> Set<String> {
        let prefix = "event conversation_state "
        let states = try self.lines.filter { $0.hasPrefix(prefix) }.map {
            try JSONObject(String($0.dropFirst(prefix.count)))
        }
        let shown = states.filter { $0.object("conversation")?["room_id"] == room }.flatMap {
            ($0.objects("messages") ?? []).compactMap { $0["content"] }
        }
        return try Set(self.deliveredContents(in: room) + shown)
    }

    func wait(for line: String, within time: Duration = Deadline.defaultTimeout) throws {
        try Deadline.wait(for: line, within: time) {
            try self.lines.contains { $0.hasPrefix(line) }
        }
    }
}

/// `python-socketio`, in a process of its own.
final class PythonRooms: StockRoomsClient {
    private let process: ChildProcess

    init(_ system: DeployedSystem, _ transport: StockTransport, token: String) throws {
        let script = Checkout.file("Tests/SystemTests/Clients/rooms.py")
        self.process = try ChildProcess(
            Checkout.python(), ["-u", script, system.address, transport.rawValue, token])
    }

    deinit { self.process.kill() }

    func emit(_ name: String, _ data: String) throws {
        try self.process.writeLine("emit \(name) \(data)")
    }

    func call(_ name: String, _ data: String) throws -> JSONObject {
        let before = self.process.output.lines.count
        try self.process.writeLine("call \(name) \(data)")
        return try Deadline.wait(
            for: "the acknowledgement of \(name); \(self.process.errors.text)", within: .seconds(30)
        ) {
            let answer = self.process.output.lines.dropFirst(before).first { $0.hasPrefix("ack ") }
            return try answer.map { try JSONObject(String($0.dropFirst("ack ".count))) }
        }
    }

    var lines: [String] { self.process.output.lines }
    /// It calls each handler in a separate thread.
    var keepsOrder: Bool { false }
}

/// `socket.io-client`, in a page of a browser.
final class BrowserRooms: StockRoomsClient {
    private let tab: Browser.Tab

    /// - Parameter tab: a page of the server's origin.
    init(_ system: DeployedSystem, _ transport: StockTransport, token: String, in tab: Browser.Tab)
        throws
    {
        self.tab = tab
        let bundle = try Checkout.tool("socket.io-", ".min.js")
        try tab.evaluate(String(contentsOfFile: bundle, encoding: .utf8) + "; undefined")
        let transports = transport == .upgrading ? "" : #", transports: ["\#(transport.rawValue)"]"#
        try tab.evaluate(
            """
            var lines = []; var acks = {};
            var socket = io("\(system.address)", {
                auth: {token: \(jsonString(token))},
                reconnectionDelay: 200, reconnectionDelayMax: 1000\(transports)
            });
            socket.on("connect", () => {
                const say = () => {
                    const name = socket.io.engine.transport.name;
                    lines.push("connected " + name + (socket.recovered ? " recovered" : ""));
                };
                say(); socket.io.engine.on("upgrade", say);
            });
            socket.on("disconnect", (reason) => lines.push("disconnected " + reason));
            socket.on("connect_error", (error) => lines.push("connect_error " + error.message));
            socket.onAny((name, data) => lines.push("event " + name + " " + JSON.stringify(data)));
            undefined
            """)
    }

    func emit(_ name: String, _ data: String) throws {
        try self.tab.evaluate("socket.emit(\(jsonString(name)), \(data)); undefined")
    }

    func call(_ name: String, _ data: String) throws -> JSONObject {
        try JSONObject(
            self.tab.runFunctionBody(
                "return JSON.stringify("
                    + "await socket.timeout(20000).emitWithAck(\(jsonString(name)), \(data)));"
            ))
    }

    /// Closes the connection as a network failure would, so that the client reconnects by itself.
    func breakConnection() throws { try self.tab.evaluate("socket.io.engine.close(); undefined") }

    var keepsOrder: Bool { true }

    var lines: [String] {
        get throws {
            try self.tab.runFunctionBody("return lines.join(\"\\n\");").split(separator: "\n").map(
                String.init)
        }
    }
}
