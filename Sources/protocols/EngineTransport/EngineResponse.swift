internal import Bytes
public import EngineIO
public import HTTPWire

/// The response to an Engine.IO request.
public enum EngineResponse: Sendable, Hashable {
    /// To a poll or a handshake: these packets.
    case payload([UInt8])
    /// To a POST.
    case accepted
    case refused(EngineRefusal)

    public var status: HTTPStatus {
        switch self {
        case .payload, .accepted: .ok
        case .refused(let refusal): HTTPStatus(rawValue: refusal.status)
        }
    }

    public var contentType: StaticString {
        switch self {
        case .payload: "text/plain; charset=UTF-8"
        case .accepted: "text/html"
        case .refused: "application/json"
        }
    }

    /// The fields of the response besides those that every response has.
    public var fields: [HTTPField] {
        let noStore = HTTPField("Cache-Control", "no-store")
        return self == .refused(.unavailable)
            ? [noStore, HTTPField("Retry-After", "1")] : [noStore]
    }

    public var body: [UInt8] {
        switch self {
        case .payload(let packets): return packets
        case .accepted: return Array("ok".utf8)
        case .refused(let refusal):
            var body = ByteBuffer()
            body.append(engineRefusal: refusal)
            return body.bytes
        }
    }
}
