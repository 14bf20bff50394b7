/// The response to an HTTP request, read without an HTTP library.
public struct HTTPReply: Sendable {
    public let status: Int
    /// The header fields; names are in lower case.
    public let fields: [String: String]
    public let body: String

    public static func get(_ path: String, port: UInt16, fields: [String: String] = [:]) throws
        -> HTTPReply
    {
        try self.request("GET", path, port: port, fields: fields)
    }

    /// - Parameter body: JSON, unless the fields name another type.
    public static func post(
        _ path: String, _ body: String, port: UInt16, fields: [String: String] = [:]
    ) throws -> HTTPReply {
        let type = fields["Content-Type"] == nil ? ["Content-Type": "application/json"] : [:]
        let needed = ["Content-Length": "\(body.utf8.count)"].merging(type) { $1 }
        return try self.request(
            "POST", path, port: port, fields: fields.merging(needed) { $1 }, body: body)
    }

    /// Sends a request with any method, on a connection of its own.
    public static func request(
        _ method: String, _ path: String, port: UInt16, fields: [String: String] = [:],
        body: String = ""
    ) throws -> HTTPReply {
        let lines = fields.map { "\($0.key): \($0.value)\r\n" }.joined()
        let host = fields["Host"] == nil ? "Host: 127.0.0.1:\(port)\r\n" : ""
        return try self.fromNode(within: Deadline.defaultTimeout) {
            let stream = try ByteStream(port: port)
            try stream.send(
                "\(method) \(path) HTTP/1.1\r\n\(host)\(lines)Connection: close\r\n\r\n\(body)")
            return stream
        }.reply
    }

    /// The response of a node. HAProxy answers with a page of its own while no node is healthy,
    /// such as after a short silence of Redis; then the request is repeated.
    ///
    /// - Parameter send: connects, and sends the request.
    static func fromNode(within time: Duration, _ send: () throws -> ByteStream) throws -> (
        stream: ByteStream, reply: HTTPReply
    ) {
        try Deadline.wait(for: "a healthy node", within: time) {
            let stream = try send()
            let reply = try HTTPReply(from: stream, within: time)
            return reply.status == 503 && reply.body.hasPrefix("<html>") ? nil : (stream, reply)
        }
    }

    /// Reads a response with a body of known length, without a body, or with a body until the end
    /// of the connection.
    public init(from stream: ByteStream, within time: Duration = Deadline.defaultTimeout) throws {
        let deadline = Deadline(within: time)
        guard let start = try stream.line(within: deadline.remaining) else {
            throw TestFailure("the connection ended without a response")
        }
        guard start.hasPrefix("HTTP/1.1 "), let status = Int(start.dropFirst(9).prefix(3)) else {
            throw TestFailure("no status line: \(start)")
        }
        var fields: [String: String] = [:]
        while let line = try stream.line(within: deadline.remaining), !line.isEmpty {
            guard let colon = line.firstIndex(of: ":") else {
                throw TestFailure("no field: \(line)")
            }
            fields[line[..<colon].lowercased()] =
                line[line.index(after: colon)...].drop { $0 == " " }.description
        }
        self.status = status
        self.fields = fields
        if status == 101 || status == 204 {
            self.body = ""
        } else if let length = fields["content-length"].flatMap({ Int($0) }) {
            let bytes = try stream.peek(atLeast: length, within: deadline.remaining)
            self.body = String(decoding: bytes.prefix(length), as: UTF8.self)
            stream.consume(min(length, bytes.count))
        } else {
            guard stream.readToEnd(within: deadline.remaining) else {
                throw TestFailure("the response has no end")
            }
            let bytes = try stream.peek(atLeast: 0)
            self.body = String(decoding: bytes, as: UTF8.self)
            stream.consume(bytes.count)
        }
    }
}
