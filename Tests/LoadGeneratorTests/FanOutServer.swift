import ClientTestSupport
import EventLoop
import HTTPWire
import Synchronization
import TLS

/// A server that sends each text to all connections of the same path, optionally with faults.
final class FanOutServer: Sendable {
    enum DeliveryFault: Sendable, Equatable {
        case none
        /// One in `every` deliveries is dropped, or sent twice.
        case drops(every: Int)
        case repeats(every: Int)
        /// The first connection of a path receives every two texts in reverse order.
        case swaps
        /// A text is sent to another path, too.
        case misdirects
        /// Each connection is closed after this many texts.
        case closes(after: Int)
        /// This many connections are rejected.
        case refuses(Int)
    }

    fileprivate struct State: Sendable {
        var groups: [String: [SocketToken]] = [:]
        var deliveries = 0
        var delayed: [SocketToken: String] = [:]
        var receivedCounts: [SocketToken: Int] = [:]
        var refusals = 0
    }

    let server: TestServer

    init(
        _ fault: DeliveryFault = .none, tls: TLSContext? = nil,
        answer: (@Sendable (String) -> String)? = nil
    ) throws {
        let state = Mutex(State())
        self.server = try TestServer(
            tls: tls,
            handshakeReply: { _ in
                guard case .refuses(let count) = fault else { return .open }
                let refuses = state.withLock {
                    $0.refusals += 1
                    return $0.refusals <= count
                }
                let body = #"{"error":"there is no room"}"#
                return refuses
                    ? .bytes(
                        """
                        HTTP/1.1 503 Service Unavailable\r\nContent-Length: \
                        \(body.utf8.count)\r\n\r\n\(body)
                        """
                    ) : .open
            },
            onEvent: { server, token, event in
                let path = String(server.target(token).prefix { $0 != "?" })
                switch event {
                case .opened:
                    state.withLock { $0.groups[path, default: []].append(token) }
                case .ended:
                    state.withLock { $0.groups[path]?.removeAll { $0 == token } }
                case .text(let text):
                    let sends = state.withLock {
                        $0.deliver(answer?(text) ?? text, from: token, path, fault)
                    }
                    for (token, text) in sends {
                        if let text {
                            server.send(text, to: token)
                        } else {
                            server.close(token, .goingAway, reason: "enough")
                        }
                    }
                case .pong, .closing:
                    break
                }
            })
    }

    func stop() { self.server.stop() }
    var url: String { "ws://127.0.0.1:\(self.server.port)" }
}

extension FanOutServer.State {
    /// The texts to send, by connection; nil stands for a close frame.
    fileprivate mutating func deliver(
        _ text: String, from sender: SocketToken, _ path: String,
        _ fault: FanOutServer.DeliveryFault
    ) -> [(SocketToken, String?)] {
        var sends: [(SocketToken, String?)] = []
        let members = self.groups[path] ?? []
        for member in members {
            self.deliveries += 1
            switch fault {
            case .drops(let every) where self.deliveries % every == 0:
                break
            case .repeats(let every) where self.deliveries % every == 0:
                sends += [(member, text), (member, text)]
            case .swaps where member == members.first:
                // Every second text is sent before the previous one.
                if let earlier = self.delayed.removeValue(forKey: member) {
                    sends += [(member, text), (member, earlier)]
                } else {
                    self.delayed[member] = text
                }
            default:
                sends.append((member, text))
            }
        }
        if fault == .misdirects,
            let stranger = self.groups.first(where: { $0.key != path })?.value.first
        {
            sends.append((stranger, text))
        }
        if case .closes(let limit) = fault {
            self.receivedCounts[sender, default: 0] += 1
            if self.receivedCounts[sender] == limit { sends.append((sender, nil)) }
        }
        return sends
    }
}
