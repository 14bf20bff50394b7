import Bytes
import ChatClient
import EngineIO
import HTTPWire
import JSON

/// A session of Engine.IO over HTTP long-polling, as its client holds it (Engine.IO protocol v4, "HTTP long-polling"): one request after the
/// other on one connection. It polls whenever there is nothing to say.
struct LongPollingClient {
    private let url: WebSocketURL
    /// Of all polls once the session has its name; of the handshake before.
    private var pollRequest: [UInt8]
    private var sid: String?
    /// Packets that leave with the next request.
    private var queuedPackets: [String] = []
    private var isPosting = false

    private var parser = HTTPResponseParser()
    /// Of the response whose body is not all there.
    private var head: HTTPResponseHead?

    /// - Parameter url: of the handshake.
    init(to url: WebSocketURL) {
        self.url = url
        self.pollRequest = Self.request("GET", url)
    }

    mutating func enqueue(_ packet: String) { self.queuedPackets.append(packet) }

    /// What is asked next; only after the answer to what was asked before.
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

    /// Reads an answer, from its first byte on.
    ///
    /// - Returns: where it ends, and where its packets lie; nil as long as it is not all there.
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
            throw .broken(reason: "an answer to a poll has no length, or ends the connection")
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
        var places: [Range<Int>] = []
        var reader = EnginePayloadReader()
        do throws(EnginePacketError) {
            while let packet = try reader.next(in: body) {
                if packet.kind == .open, self.sid == nil {
                    self.sid =
                        (try? JSONTree(parsing: body.extracting(packet.data)))?["sid"]?.stringValue
                    self.pollRequest = Self.request("GET", self.sessionURL)
                }
                // With the letter of its kind, as in a frame of a WebSocket.
                places.append(start + packet.data.lowerBound - 1..<start + packet.data.upperBound)
            }
        } catch {
            throw .broken(reason: "the answer to a poll is malformed: \(error)")
        }
        return places
    }
}
