/// Why a node could not be asked at its admin address. Each description completes the sentence
/// "node n2: …".
public enum DirectCallError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The node has no admin listener, or its record is unknown.
    case noListener
    /// The address, such as `0.0.0.0:8090`, names no host.
    case noHost(String)
    /// The listener is on loopback of another host.
    case otherHost(String)
    case unreachable(String, reason: String)
    case timeout(String)
    /// Another server listens there, or the node rejects this one.
    case rejected(String, status: Int)
    case unreadable(String)

    /// Whether no attempt could be made, so that the node may be alive.
    public var isUnasked: Bool {
        switch self {
        case .noListener, .noHost, .otherHost: true
        case .unreachable, .timeout, .rejected, .unreadable: false
        }
    }

    public var description: String {
        switch self {
        case .noListener: "its admin listener is off"
        case .noHost(let address): "its admin listener is at \(address), which names no host"
        case .otherHost(let address):
            "its admin listener is at \(address), which only its own host reaches"
        case .unreachable(let address, let reason): "\(address): \(reason)"
        case .timeout(let address): "\(address): no answer within 1.3 s"
        case .rejected(let address, let status):
            "\(address): it rejected the question with status \(status)"
        case .unreadable(let address): "\(address): its answer is unreadable"
        }
    }
}

/// The response to a question that a node asked at another one's admin address.
///
/// It is a value that reads the bytes of a whole response: HTTP/1.1 with `Content-Length`, as a
/// node writes it.
struct DirectReply: Equatable {
    let status: Int
    let body: [UInt8]

    /// Nil for a response that is cut short or is not HTTP.
    init?(_ response: [UInt8]) {
        let separator: [UInt8] = [13, 10, 13, 10]
        let end = response.indices.first {
            response[$0...].prefix(4).elementsEqual(separator)
        }
        guard let end, response.starts(with: "HTTP/1.1 ".utf8),
            let status = Int(String(decoding: response.dropFirst(9).prefix(3), as: UTF8.self))
        else { return nil }
        let fields = String(decoding: response[..<end], as: UTF8.self).lowercased()
        let length = fields.split(separator: "\r\n").lazy.compactMap { line in
            line.hasPrefix("content-length:")
                ? Int(line.dropFirst("content-length:".count).drop { $0 == " " }) : nil
        }.first
        let body = Array(response[(end + 4)...])
        guard length == body.count else { return nil }
        self.status = status
        self.body = body
    }
}
