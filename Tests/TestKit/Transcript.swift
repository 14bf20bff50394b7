import Foundation

/// An example on a page under `docs/protocols`: the frames and HTTP requests that clients send, and
/// the exact answers of the server.
///
/// The page explains the format. For each client and type of frame, the server's lines are matched
/// in order, so that frames of one type cannot overtake each other. Presence, receipts and
/// heartbeats that an example does not mention are ignored.
public struct Transcript: Sendable, CustomStringConvertible {
    /// The page and line of the example.
    public let location: String
    /// Options for `confab serve`.
    public let options: [String]
    public let lines: [TranscriptLine]

    public struct TranscriptLine: Sendable {
        public let client: String
        public let isFromServer: Bool
        public let text: String
    }

    public var description: String { self.location }

    /// All examples of a page in the checkout.
    public static func all(of page: String) throws -> [Transcript] {
        try MarkdownPage(page).blocks.filter { $0.language == "transcript" }.map { block in
            Transcript(
                location: "\(page):\(block.line)", options: block.arguments,
                lines: try block.text.split(separator: "\n").map {
                    try TranscriptLine(String($0), at: "\(page):\(block.line)")
                })
        }
    }

    /// Plays the example against the server on this port. `connect` creates a client for a path.
    /// Throws if the server answers differently.
    public func play(port: UInt16, connecting connect: (String) throws -> any StockClient) throws {
        var clients: [String: TranscriptClient] = [:]
        var replies: [String: String] = [:]
        var names = CapturedNames()
        let hasOneClient = Set(self.lines.map(\.client)).count == 1
        for line in self.lines {
            do {
                if line.isFromServer, let reply = replies.removeValue(forKey: line.client) {
                    try Self.check(reply, is: line.text, &names)
                } else if let request = try line.request(replacing: names) {
                    replies[line.client] = try request.reply(port: port)
                } else {
                    try self.play(line, with: &clients, &names, hasOneClient: hasOneClient, connect)
                }
            } catch {
                throw TestFailure(
                    "\(self.location): \(line.client) \(line.isFromServer ? "S" : "C"): "
                        + "\(line.text)\n\(error)"
                )
            }
        }
        for client in clients.values { try client.finish() }
    }

    /// Checks the response to an HTTP request: its status and its body.
    private static func check(
        _ reply: String, is text: String, _ names: inout CapturedNames
    ) throws {
        let text = names.replaced(in: text)
        let pattern = try TranscriptClient.pattern(text)
        guard reply.wholeMatch(of: pattern) != nil else {
            throw TestFailure("received instead: \(reply)")
        }
        names.capture(text, in: reply, matching: pattern)
    }

    private func play(
        _ line: TranscriptLine, with clients: inout [String: TranscriptClient],
        _ names: inout CapturedNames, hasOneClient: Bool,
        _ connect: (String) throws -> any StockClient
    ) throws {
        if !line.isFromServer, line.text.hasPrefix("connect ") {
            let path = try Self.withTokens(String(line.text.dropFirst("connect ".count)))
            clients[line.client] = TranscriptClient(
                line.client, try connect(path), usesSocketIO: path.hasPrefix("/socket.io"))
            // An accepted client is not yet subscribed. Without this wait it could miss messages of
            // other clients.
            if !hasOneClient { try clients[line.client]?.synchronize() }
            return
        }
        guard let client = clients[line.client] else {
            throw TestFailure("\(line.client) is not connected")
        }
        if line.isFromServer {
            // `connect` has already waited for the acceptance.
            if line.text != "accepted" { try client.expect(line.text, &names) }
        } else if line.text.hasPrefix("binary ") {
            try client.socket.send(
                binary: line.text.split(separator: " ").dropFirst().compactMap {
                    UInt8($0, radix: 16)
                })
        } else if line.text.hasPrefix("close ") {
            try client.close(UInt16(line.text.dropFirst("close ".count)) ?? 1000)
        } else {
            try client.socket.send(names.replaced(in: Self.withTokens(line.text)))
        }
    }

    /// The values of names such as `<the conversation>`. A name takes the server's value at its
    /// first use, and keeps it.
    struct CapturedNames {
        private var values: [String: String] = [:]

        func replaced(in text: String) -> String {
            self.values.reduce(text) { $0.replacing("<the \($1.key)>", with: $1.value) }
        }

        /// Captures the values of names that this frame is the first to use.
        mutating func capture(
            _ text: String, in frame: String, matching expression: Regex<AnyRegexOutput>
        ) {
            guard let match = frame.wholeMatch(of: expression) else { return }
            for (name, output) in zip(Self.names(in: text), match.output.dropFirst()) {
                self.values[name] = output.substring.map(String.init)
            }
        }

        static func names(in text: String) -> [String] {
            text.matches(of: /<the ([a-z ]+)>/).map { String($0.1) }
        }
    }

    /// Replaces placeholders by real tokens: `<token of alice>`, `<token of bob, only 123>`,
    /// `<token of bob, named Bob>`, `<token of bob, 3 s>`, `<token of bob, admin>`, `<expired token
    /// of bob>` and `<forged token of bob>`.
    static func withTokens(_ text: String) throws -> String {
        var text = text
        let pattern =
            #/
            <(forged\s|expired\s)?token\sof\s([a-z0-9-]+)
            (?:,\snamed\s([^,>]*))?(?:,\sonly\s([^,>]*))?(?:,\s([0-9]+)\ss)?(,\sadmin)?>
            /#
        while let match = text.firstMatch(of: pattern) {
            let token = try ConfabServer.token(
                for: String(match.2), name: match.3.map(String.init),
                conversations: match.4.map { [String($0)] }, isAdmin: match.6 != nil,
                validFor: match.1 == "expired " ? -10 : match.5.flatMap { Double($0) } ?? 3600,
                secret: match.1 == "forged "
                    ? "another secret, which the server does not have" : ConfabServer.secret)
            text.replaceSubrange(match.range, with: token)
        }
        return text
    }
}

extension Transcript.TranscriptLine {
    fileprivate init(_ text: String, at index: String) throws {
        guard let match = text.wholeMatch(of: /([a-z]+) ([CS]): (.*)/) else {
            throw TestFailure("\(index): no line of a transcript: \(text)")
        }
        self.init(client: String(match.1), isFromServer: match.2 == "S", text: String(match.3))
    }

    /// The HTTP request of a client's line: `POST /path {"body":…}`; nil for other lines.
    fileprivate func request(replacing names: Transcript.CapturedNames) throws
        -> TranscriptRequest?
    {
        let text = names.replaced(in: try Transcript.withTokens(self.text))
        guard !self.isFromServer,
            let match = text.wholeMatch(of: /(GET|POST|PATCH|DELETE) (\S+)(?: (.*))?/)
        else { return nil }
        return TranscriptRequest(
            method: String(match.1), path: String(match.2), body: match.3.map(String.init) ?? "")
    }
}

/// An HTTP request of a transcript, on a connection of its own.
private struct TranscriptRequest {
    let method: String
    let path: String
    let body: String

    /// The status and the body of the response.
    func reply(port: UInt16) throws -> String {
        let fields =
            self.body.isEmpty
            ? [:]
            : [
                "Content-Type": "application/json", "Content-Length": "\(self.body.utf8.count)",
            ]
        let reply = try HTTPReply.request(
            self.method, self.path, port: port, fields: fields, body: self.body)
        return "\(reply.status) \(reply.body)"
    }
}

/// A client of a transcript.
final class TranscriptClient {
    let socket: any StockClient
    private let name: String
    /// Received frames that no line has matched yet.
    private var unmatchedFrames: [String] = []
    private var isClosed = false
    private let usesSocketIO: Bool
    /// Whether Socket.IO's CONNECT was answered. Before that, a client may send nothing else.
    private var isConnected = false

    init(_ name: String, _ socket: any StockClient, usesSocketIO: Bool) {
        self.name = name
        self.socket = socket
        self.usesSocketIO = usesSocketIO
    }

    func close(_ code: UInt16) throws {
        try self.socket.close(code)
        self.isClosed = true
    }

    /// Waits for the frame, or the end of the connection, that a line expects.
    func expect(_ text: String, _ names: inout Transcript.CapturedNames) throws {
        let text = names.replaced(in: text)
        let pattern = try Self.pattern(text)
        let type = Self.type(of: text)
        let deadline = Deadline()
        while true {
            if let index = self.unmatchedFrames.firstIndex(where: { Self.type(of: $0) == type }) {
                let frame = self.unmatchedFrames.remove(at: index)
                guard frame.wholeMatch(of: pattern) != nil else {
                    throw TestFailure("received instead: \(frame)")
                }
                names.capture(text, in: frame, matching: pattern)
                return
            }
            try self.receiveFrame(deadline)
        }
    }

    /// Checks that no relevant frame is left.
    func finish() throws {
        if !self.isClosed { try self.synchronize() }
        let ignoredTypes = ["heartbeat", "user_status", "message.status", "status", "offset"]
        if let frame = self.unmatchedFrames.first(where: {
            !ignoredTypes.contains(Self.type(of: $0))
        }) {
            throw TestFailure("\(self.name) received a frame that is not on the page: \(frame)")
        }
    }

    /// Sends an unknown request and waits for its error. By then, everything sent before is done
    /// and the client is subscribed.
    func synchronize() throws {
        guard !self.usesSocketIO || self.isConnected else { return }
        let unknownAction = "are you done?"
        // Each protocol names a request in another field, and none knows this one.
        try self.socket.send(
            self.usesSocketIO
                ? #"42["\#(unknownAction)",{}]"#
                : #"{"action":"\#(unknownAction)","event":"\#(unknownAction)","#
                    + #""type":"\#(unknownAction)"}"#
        )
        let deadline = Deadline()
        while true {
            try self.receiveFrame(deadline)
            if self.unmatchedFrames.last?.contains(unknownAction) == true {
                self.unmatchedFrames.removeLast()
                return
            }
            if self.isClosed { return }
        }
    }

    private func receiveFrame(_ deadline: Deadline) throws {
        guard !self.isClosed else { throw TestFailure("the connection ended early") }
        switch try self.socket.next(within: deadline.remaining) {
        case .text(let frame):
            self.unmatchedFrames.append(frame)
            if frame.hasPrefix("40") { self.isConnected = true }
            if frame == "41" { self.isConnected = false }
        case .close(let code, let reason):
            self.isClosed = true
            self.unmatchedFrames.append("close \(code.map(String.init) ?? "") \(reason)")
        case .end: self.isClosed = true
        case let other: throw TestFailure("received instead: \(other)")
        }
    }

    /// The text as a pattern, with expressions for its placeholders.
    static func pattern(_ text: String) throws -> Regex<AnyRegexOutput> {
        var pattern = NSRegularExpression.escapedPattern(for: text)
        for (placeholder, expression) in [
            ("<time>", #"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"#), ("<number>", #"\d+(?:\.\d+)?"#),
        ] {
            pattern = pattern.replacing(placeholder, with: expression)
        }
        pattern = pattern.replacing(/<the [a-z ]+>/, with: "([^\"]+)")
        return try Regex(pattern)
    }

    private static func type(of frame: String) -> String {
        if frame.hasPrefix("close ") { return "close" }
        // For Socket.IO, an event has its name as type; other packets have their numbers.
        if let event = frame.firstMatch(of: /^42\["([^"]*)"/) { return String(event.1) }
        if frame.first?.isNumber == true { return String(frame.prefix { $0.isNumber }.prefix(2)) }
        return frame.firstMatch(of: /^\{"(?:type|event)":"([^"]*)"/).map { String($0.1) } ?? ""
    }
}
