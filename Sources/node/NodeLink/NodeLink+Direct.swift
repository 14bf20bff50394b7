import Bytes
import Cluster
public import ClusterWire
import EventLoop

/// Questions between nodes at their admin addresses, while Redis carries no messages.
extension NodeLink {
    /// The answer of a node, or why there is none.
    public struct NodeAnswer: Sendable {
        /// The JSON document; nil if the node did not answer.
        public var text: String?
        /// Whether the node was asked at its admin address, and why that failed.
        public var isDirect = false
        public var failure: DirectCallError?

        public init(text: String? = nil, isDirect: Bool = false, failure: DirectCallError? = nil) {
            self.text = text
            self.isDirect = isDirect
            self.failure = failure
        }
    }

    /// Why a question from another node is not answered; a sentence for the log of its sender.
    public struct DirectRefusal: Error, Sendable, Equatable, CustomStringConvertible {
        public let description: String

        init(_ description: String) { self.description = description }
    }

    /// A question without an answer for this time is asked directly as well.
    private static let patience = Duration.milliseconds(500)

    /// Asks several nodes in parallel, and waits two seconds at most.
    ///
    /// - Parameters:
    ///   - isReading: whether the request changes nothing. Only such a request may be asked
    ///     directly, because a recorded one can be replayed.
    ///   - isRedisSilent: whether messages through Redis are useless.
    public func askAll(
        _ peers: [PeerNode], _ request: NodeRequest, isReading: Bool, isRedisSilent: Bool
    ) async -> [UInt64: NodeAnswer] {
        await withTaskGroup(of: (UInt64, NodeAnswer).self) { group in
            for peer in peers {
                group.addTask {
                    let answer =
                        if !isReading {
                            NodeAnswer(text: try? await self.call(peer.incarnation, request).get())
                        } else if isRedisSilent {
                            await self.askDirectly(peer, request)
                        } else {
                            await self.ask(peer, request)
                        }
                    return (peer.incarnation, answer)
                }
            }
            var answers: [UInt64: NodeAnswer] = [:]
            for await (node, answer) in group { answers[node] = answer }
            return answers
        }
    }

    /// Asks through Redis, and directly if that takes long or the node's heartbeat is overdue.
    private func ask(_ peer: PeerNode, _ request: NodeRequest) async -> NodeAnswer {
        let patience = peer.state == "suspect" ? .zero : Self.patience
        return await withTaskGroup(of: NodeAnswer?.self) { group in
            group.addTask {
                (try? await self.call(peer.incarnation, request).get()).map { NodeAnswer(text: $0) }
            }
            group.addTask {
                guard (try? await Task.sleep(for: patience)) != nil else { return nil }
                return await self.askDirectly(peer, request)
            }
            var last = NodeAnswer()
            for await answer in group {
                guard let answer else { continue }
                last = answer
                // A node that could not be asked directly may still answer through Redis.
                if answer.failure?.isUnasked != true { break }
            }
            group.cancelAll()
            return last
        }
    }

    private func askDirectly(_ peer: PeerNode, _ request: NodeRequest) async -> NodeAnswer {
        switch await self.callDirectly(peer, request) {
        case .success(let text): NodeAnswer(text: text, isDirect: true)
        case .failure(let failure): NodeAnswer(isDirect: true, failure: failure)
        }
    }

    /// Asks a node at its admin address. Fails after 1.3 seconds without an answer.
    public func callDirectly(_ peer: PeerNode, _ request: NodeRequest) async -> Result<
        String, DirectCallError
    > {
        await withCheckedContinuation { continuation in
            self.agent.callDirectly(peer, request) { continuation.resume(returning: $0) }
        }
    }

    /// Answers a question that another node of the view asked at this node's admin address.
    ///
    /// The membership of the sender is that of the last view that this node knows, because Redis
    /// may be silent.
    ///
    /// - Parameters:
    ///   - body: a sealed `ControlMessage`.
    ///   - topics: the requests that only read.
    /// - Returns: the sealed answer.
    public func answerDirectly(
        _ body: [UInt8], topics: Set<String>, with answer: CallHandler
    ) async throws(DirectRefusal) -> [UInt8] {
        let opened = await withCheckedContinuation { continuation in
            self.agent.open(body) { continuation.resume(returning: $0) }
        }
        let (question, isMember) = try opened.get()
        let text: String
        if question.topic == EvictionCheck.request.topic {
            text = EvictionCheck.answer(isMember: isMember)
        } else {
            guard isMember else {
                throw DirectRefusal("The sender is not in this node's view.")
            }
            guard topics.contains(question.topic),
                let request = NodeRequest(topic: question.topic, body: question.body),
                let answered = await answer(request)
            else { throw DirectRefusal("The node does not answer \"\(question.topic)\" here.") }
            text = answered
        }
        let reply = ControlMessage(
            .reply, from: question.to, to: question.from, id: question.id, topic: question.topic,
            body: text)
        guard reply.isWithinLimits else { throw DirectRefusal("The answer is too long.") }
        var sealed = ByteBuffer()
        reply.write(to: &sealed, key: self.agent.key)
        return sealed.bytes
    }
}

extension NodeAgent {
    var key: ClusterKey { self.settings.key }

    /// From any thread; the reply arrives on the loop.
    func callDirectly(
        _ peer: NodeLink.PeerNode, _ request: NodeRequest,
        reply: @escaping @Sendable (Result<String, DirectCallError>) -> Void
    ) {
        self.loop.execute {
            let (own, host) = self.membership.state.with {
                ($0.membership.localNode.incarnation, $0.record.host)
            }
            guard let record = peer.record, let address = record.adminAddress else {
                return reply(.failure(.noListener))
            }
            let literal = HostPort(address[...]).flatMap { IPAddress($0.host) }
            if ["0.0.0.0", "::"].contains(literal?.description) {
                return reply(.failure(.noHost(address)))
            }
            if literal?.isLoopback == true, record.host != host {
                return reply(.failure(.otherHost(address)))
            }
            let question = ControlMessage(
                .request, from: own, to: peer.incarnation, id: .random(in: 1...UInt64.max),
                topic: request.topic, body: request.body)
            var sealed = ByteBuffer()
            question.write(to: &sealed, key: self.key)
            self.directCalls.post(sealed.bytes, to: address) { result in
                reply(result.flatMap { self.text(of: $0, to: question, address) })
            }
        }
    }

    private func text(of body: [UInt8], to question: ControlMessage, _ address: String) -> Result<
        String, DirectCallError
    > {
        guard
            let reply = try? ControlMessage(body.span.bytes, for: question.from, key: self.key),
            reply.kind == .reply, reply.id == question.id, reply.from == question.to
        else { return .failure(.unreadable(address)) }
        return .success(reply.body)
    }

    /// Opens a question from another node. From any thread; the result arrives on the loop.
    func open(
        _ body: [UInt8],
        result:
            @escaping @Sendable (
                Result<(question: ControlMessage, isMember: Bool), NodeLink.DirectRefusal>
            ) -> Void
    ) {
        self.loop.execute {
            do throws(NodePacketError) {
                let question = try ControlMessage(
                    body.span.bytes, for: self.membership.incarnation, key: self.key)
                guard question.kind == .request else {
                    return result(.failure(.init("The packet is not a request.")))
                }
                result(.success((question, self.membership.isMember(question.from))))
            } catch {
                result(.failure(.init(error.description)))
            }
        }
    }
}
