import Bytes
import ClusterWire
import EventLoop
import RedisClient

/// The agent's connection to Redis. It passes each reply to the completion that its command was
/// sent with.
///
/// It is separate from the loops' connections, so that heartbeats do not wait behind messages.
final class AgentConnection: Sendable {
    /// Called once, on the loop. The reply is valid until it returns.
    typealias Completion = (Result<RedisReply, RedisError>) -> Void

    private struct State {
        var client: RedisClient?
        var publisher: PacketPublisher?
        var lastTag: CommandTag = 0
        var completions: [CommandTag: Completion] = [:]

        mutating func expectReply(_ completion: @escaping Completion) -> CommandTag {
            self.lastTag.advance()
            self.completions[self.lastTag] = completion
            return self.lastTag
        }
    }

    private let state: LoopBound<State>

    init(on loop: EventLoop) {
        self.state = LoopBound(State(), on: loop)
    }

    func open(_ client: RedisClient, publisher: PacketPublisher) {
        self.state.with {
            $0.client = client
            $0.publisher = publisher
        }
    }

    /// Closes the connection. Commands without a reply get none; their completions, which retain
    /// the parts of the node that sent them, are released.
    func close() {
        let state = self.state.with { state in
            defer { state = State() }
            return state
        }
        state.client?.close()
    }

    // MARK: Commands

    /// - Returns: whether the command was sent; only then its completion is called.
    @discardableResult
    func send(
        slot: RedisSlot = .any, _ write: (inout RedisCommandWriter) -> Void,
        completion: @escaping Completion
    ) -> Bool {
        self.state.with { state in
            let tag = state.expectReply(completion)
            let isSent = (try? state.client?.command(tag: tag, slot: slot, write)) != nil
            if !isSent { state.completions[tag] = nil }
            return isSent
        }
    }

    /// Publishes a packet without envelopes.
    func probe(from sender: UInt64, to node: UInt64, completion: Completion? = nil) {
        self.state.with { state in
            guard let completion else {
                state.publisher?.probe(from: sender, to: node)
                return
            }
            let tag = state.expectReply(completion)
            if state.publisher?.probe(from: sender, to: node, tag: tag) != true {
                state.completions[tag] = nil
            }
        }
    }

    /// - Returns: whether the message was published; only then its completion is called.
    @discardableResult
    func publish(_ message: ControlMessage, completion: Completion? = nil) -> Bool {
        self.state.with { state in
            guard let completion else { return state.publisher?.send(message) == true }
            let tag = state.expectReply(completion)
            let isSent = state.publisher?.send(message, tag: tag) == true
            if !isSent { state.completions[tag] = nil }
            return isSent
        }
    }

    // MARK: Replies

    func complete(_ tag: CommandTag, with result: Result<RedisReply, RedisError>) {
        // The completion may send the next command.
        self.state.with { $0.completions.removeValue(forKey: tag) }?(result)
    }

    // MARK: State

    /// Why Redis is unavailable; nil if it is available.
    var outage: RedisOutage? {
        if case .unavailable(let outage)? = self.state.with({ $0.client?.state }) {
            outage
        } else {
            nil
        }
    }

    var isReady: Bool {
        if case .ready? = self.state.with({ $0.client?.state }) { true } else { false }
    }

    /// One slot of each server that executes commands.
    var masterSlots: [RedisSlot] { self.state.with { $0.client?.masterSlots ?? [] } }

    func endpoint(of slot: RedisSlot) -> RedisEndpoint? {
        self.state.with { $0.client?.endpoint(of: slot) }
    }

    var endpoints: [RedisEndpoint] { self.state.with { $0.client?.endpoints ?? [] } }
}
