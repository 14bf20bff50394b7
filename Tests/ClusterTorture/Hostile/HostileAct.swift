import Foundation
import TestKit

/// Something that harms others unless a limit prevents it. Every act is bounded in number and time.
public enum HostileAct: String, Sendable, CaseIterable, Comparable {
    // Acts of a member.
    case sendFast = "ten connections send 50 messages each"
    case type = "20,000 typing frames at once"
    case search = "ten searches for a missing word on ten connections, and ten over REST"
    case readNothing = "200 pages and 100 lists are requested, and never read"
    case invite = "ten conversations with 1,600 providers each"
    case inventMembers = "ten conversations with 100 invented members each"
    case writeToNobody = "a direct message to each of 200 names"
    // Acts of a client without a token.
    case openSessions = "2,000 Engine.IO sessions on one connection"
    case openSockets = "200 connections that send half a request and wait"
    case guess = "500 requests for the messages of others"
    case forge = "100 WebSockets with a forged token"
    case claim = "20 joins under the names of members, with a message each"

    public static let ofMember: [Self] = [
        .sendFast, .type, .search, .readNothing, .invite, .inventMembers, .writeToNobody,
    ]
    public static let ofStranger: [Self] = [.openSessions, .openSockets, .guess, .forge, .claim]

    public static func < (first: Self, second: Self) -> Bool { first.rawValue < second.rawValue }

    /// The user of the member's acts.
    static let member = "mallory"
    /// Messages of the member go to a conversation of its own, because the judge knows all messages
    /// of the others.
    private static let ownConversation = "mallory-1"
    private static let timeout = Duration.seconds(2)

    /// Throws if the node refuses to go on.
    ///
    /// - Parameter conversation: one of the other members.
    /// - Returns: what the client got although it may not; nil for nothing.
    func perform(at port: UInt16, in conversation: String) throws -> String? {
        switch self {
        case .sendFast:
            let sockets = try (0..<10).map { _ in
                try Self.socket(port, "/conversations/\(Self.ownConversation)/")
            }
            for socket in sockets {
                try Self.sendAll(
                    (0..<50).map { #"{"action":"send_message","content":"spam \#($0)"}"# },
                    over: socket)
            }
            for socket in sockets { Self.read(socket) }
        case .type:
            let socket = try Self.socket(port, "/conversations/\(conversation)/")
            try Self.sendAll(
                .init(repeating: #"{"action":"typing"}"#, count: 20_000), over: socket)
            Self.read(socket)
        case .search:
            let sockets = try (0..<10).map { _ in
                try Self.socket(port, "/conversations/\(conversation)/")
            }
            for socket in sockets {
                try Self.sendAll(
                    .init(repeating: #"{"action":"search","text":"größenwahn"}"#, count: 10),
                    over: socket)
            }
            for _ in 0..<10 {
                _ = try HTTPReply.get(
                    "/api/search?text=nowhere", port: port, fields: Self.authorization())
            }
            for socket in sockets { Self.read(socket) }
        case .readNothing:
            let pages = try Self.socket(port, "/conversations/\(conversation)/")
            try Self.sendAll(
                .init(repeating: #"{"action":"fetch_messages","limit":100}"#, count: 200),
                over: pages)
            let lists = try Self.socket(port, "/ws/")
            try Self.sendAll(
                .init(repeating: #"{"event":"conversations"}"#, count: 100), over: lists)
            usleep(500_000)
            pages.dropConnection()
            lists.dropConnection()
        case .invite:
            let socket = try Self.socket(port, "/ws/")
            let provider = UUID().uuidString.lowercased()
            let providers = (0..<1600).map { #""\#(provider.dropLast(4))\#(1000 + $0)""# }
            let frame =
                #"{"event":"new_conversation","data":{"pet_id":"\#(provider)","#
                + #""providers":[\#(providers.joined(separator: ","))]}}"#
            try Self.sendAll(.init(repeating: frame, count: 10), over: socket)
            Self.read(socket)
        case .inventMembers:
            let name = String(repeating: "n", count: 100)
            let members = (0..<100).map {
                #"{"user_id":"nobody-\#($0)","username":"\#(name)"}"#
            }
            for _ in 0..<10 {
                _ = try HTTPReply.post(
                    "/api/conversations/create",
                    #"{"title":"spam","members":[\#(members.joined(separator: ","))]}"#,
                    port: port, fields: Self.authorization())
            }
        case .writeToNobody:
            let socket = try Self.socket(port, "/v1/ws")
            try Self.sendAll(
                (0..<200).map { #"{"type":"message","to":"nobody-\#($0)","content":"spam"}"# },
                over: socket)
            Self.read(socket)
        case .openSessions:
            let stream = try ByteStream(port: port)
            defer { stream.close() }
            let request =
                "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            try stream.send(
                Array(String(repeating: request, count: 2000).utf8), within: Self.timeout)
            _ = stream.readToEnd(within: .seconds(1))
        case .openSockets:
            let streams = try (0..<200).map { _ in try ByteStream(port: port) }
            for stream in streams {
                try stream.send("GET /conversations/\(conversation)/ HTTP/1.1\r\nHost: a\r\n")
            }
            usleep(1_000_000)
            for stream in streams { stream.close() }
        case .guess:
            let stream = try ByteStream(port: port)
            defer { stream.close() }
            let request =
                "GET /api/conversations/\(conversation)/messages HTTP/1.1\r\n"
                + "Host: 127.0.0.1\r\n\r\n"
            try stream.send(
                Array(String(repeating: request, count: 500).utf8), within: Self.timeout)
            _ = stream.readToEnd(within: .seconds(1))
            let replies = try String(decoding: stream.peek(atLeast: 0), as: UTF8.self)
            if replies.contains("HTTP/1.1 2") { return "reads \(conversation) without a token" }
        case .forge:
            let token = try ConfabServer.token(
                for: "\(conversation)-m0", secret: String(repeating: "not the secret ", count: 3))
            for _ in 0..<100 {
                let stream = try ByteStream(port: port)
                defer { stream.close() }
                try RawWebSocketClient.requestUpgrade(
                    "/conversations/\(conversation)/?token=\(token)", port: port, on: stream)
                _ = stream.isReadable(within: Self.timeout)
            }
        case .claim:
            for number in 0..<20 {
                let user = "\(conversation)-m\(number % 3)"
                let path = "/api/conversations/\(conversation)"
                _ = try HTTPReply.post(
                    "\(path)/join", #"{"user_id":"\#(user)"}"#, port: port)
                let reply = try HTTPReply.post(
                    "\(path)/messages",
                    #"{"user_id":"\#(user)","content":"I am \#(user)"}"#, port: port)
                if reply.status < 300 { return "writes as \(user) without a token: \(reply.body)" }
            }
        }
        return nil
    }

    private static func socket(_ port: UInt16, _ path: String) throws -> RawWebSocketClient {
        let token = try ConfabServer.token(for: Self.member)
        return try RawWebSocketClient("\(path)?token=\(token)", port: port, within: Self.timeout)
    }

    /// Sends the frames at once. The node may read them as slowly as it likes.
    private static func sendAll(_ texts: [String], over socket: RawWebSocketClient) throws {
        let frames = texts.flatMap { RawWebSocketClient.frame(opcode: 1, Array($0.utf8)) }
        try socket.stream.send(frames, within: Self.timeout)
    }

    /// Reads for a moment, and drops the connection.
    private static func read(_ socket: RawWebSocketClient) {
        _ = socket.stream.readToEnd(within: .milliseconds(300))
        socket.dropConnection()
    }

    private static func authorization() throws -> [String: String] {
        ["Authorization": "Bearer \(try ConfabServer.token(for: Self.member))"]
    }
}
