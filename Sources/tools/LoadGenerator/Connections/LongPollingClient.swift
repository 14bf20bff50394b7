import Bytes
import ConfabClient
import EngineIO
import HTTPWire
import JSON

/// An Engine.IO session over HTTP long polling, from the client's side (Engine.IO protocol v4,
/// "HTTP long-polling").
///
/// It sends one request at a time on one connection. It polls whenever no packet is queued.
struct LongPollingClient {
    private let url: WebSocketURL
    /// The request of every poll; before the session has an id, the request of the handshake.
    private var pollRequest: [UInt8]
    private var sid: String?
    /// Packets to send with the next request.
    private var queuedPackets: [String] = []
    private var isPosting = false

    private var parser = HTTPResponseParser()
    /// The head of a response whose body is incomplete.
    private var head: HTTPResponseHead?

    /// - Parameter url: the URL of the handshake.
    init(to url: WebSocketURL) {
        self.url = url
        self.pollRequest = Self.request("GET", url)
    }

    mutating func enqueue(_ packet: String) { self.queuedPackets.append(packet) }

    /// Appends the next request. Call it only after the previous response.
    mutating func appendRequest(to buffer: inout ByteBuffer) {
        self.isPosting = !self.queuedPackets.isEmpty
        guard self.isPosting else { return buffer.append(contentsOf: self.pollRequest) }
        let body = self.queuedPackets.joined(
            separator: String(UnicodeScalar(EnginePayload.separator)))
        self.queuedPackets.removeAll()
        buffer.append(
            contentsOf: Self.request(
                "POST", self.sessionURL,
                "Content-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\n"))
        buffer.append(text: body)
    }

    private static func request(_ method: String, _ url: WebSocketURL, _ fields: String = "")
        -> [UInt8]
    {
        Array("\(method) \(url.target) HTTP/1.1\r\nHost: \(url.hostField)\r\n\(fields)\r\n".utf8)
    }

    private var sessionURL: WebSocketURL {
        self.sid.map { self.url.setting("sid", to: $0) } ?? self.url
    }

    /// Reads a response, from its first byte.
    ///
    /// - Returns: the end of the response and the ranges of its packets; nil while it is
    ///   incomplete.
    mutating func receive(_ bytes: RawSpan) throws(ClientError) -> (
        end: Int, packets: [Range<Int>]
    )? {
        var head = HTTPResponseHead()
        if let known = self.head {
            head = known
        } else {
            do throws(HTTPResponseError) {
                guard try self.parser.parse(bytes, into: &head) else { return nil }
            } catch {
                throw .handshake(error)
            }
            self.head = head
        }
        guard case .bytes(let count) = head.body, head.keepsAlive || head.status != .ok else {
            throw .broken(reason: "a poll response has no length, or ends the connection")
        }
        let end = head.byteCount + Int(count)
        guard bytes.byteCount >= end else { return nil }
        self.head = nil
        guard head.status == .ok else {
            let sentence = bytes.extracting(head.byteCount..<end).withUnsafeBytes {
                String(decoding: $0, as: UTF8.self)
            }
            throw .refused(head.status, reason: sentence)
        }
        guard !self.isPosting else { return (end, []) }
        return (
            end, try self.packets(of: bytes.extracting(head.byteCount..<end), at: head.byteCount)
        )
    }

    private mutating func packets(of body: RawSpan, at start: Int) throws(ClientError) -> [Range<
        Int
    >] {
        var ranges: [Range<Int>] = []
        var reader = EnginePayloadReader()
        do throws(EnginePacketError) {
            while let packet = try reader.next(in: body) {
                if packet.kind == .open, self.sid == nil {
                    self.sid =
                        (try? JSONTree(parsing: body.extracting(packet.data)))?["sid"]?.stringValue
                    self.pollRequest = Self.request("GET", self.sessionURL)
                }
                // Includes the type character, as a WebSocket frame does.
                ranges.append(start + packet.data.lowerBound - 1..<start + packet.data.upperBound)
            }
        } catch {
            throw .broken(reason: "the poll response is malformed: \(error)")
        }
        return ranges
    }
}
