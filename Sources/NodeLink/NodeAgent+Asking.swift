import Bytes
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Telemetry

/// Questions between nodes, and to Redis, for operators.
extension NodeAgent {
    /// From any thread; the answer comes on the loop.
    func ask(_ node: UInt64, _ topic: String, _ text: String, reply: @escaping Correspondence.Reply) {
        self.loop.execute {
            let failure: LinkError? = self.body.with { body in
                guard let id = body.correspondence.ask(node, at: Self.now, reply: reply) else { return .tooMany }
                let memo = Memo(.question, from: body.membership.me.incarnation, to: node, id: id, topic: topic, body: text)
                guard memo.fits else {
                    _ = body.correspondence.failed(id)
                    return .tooLong
                }
                body.lastKnock += 1
                guard body.outlet?.send(memo, tag: body.lastKnock) == true else {
                    _ = body.correspondence.failed(id)
                    return .noAnswer
                }
                body.errands[body.lastKnock] = .question(id)
                return nil
            }
            if let failure { reply(.failure(failure)) }
        }
    }

    /// From any thread; the answer comes on the loop.
    func survey(_ reply: @escaping @Sendable (NodeLink.Surroundings) -> Void) {
        self.loop.execute {
            let now = Self.now
            reply(
                self.body.with { body in
                    var answer = NodeLink.Surroundings()
                    answer.me = body.membership.me.incarnation
                    answer.view = body.membership.view
                    answer.peers = body.acquaintances.peers(in: body.membership.view, suspects: body.membership.suspects, at: now)
                    answer.lastDeliveryAge = body.mailbox.age(at: now)
                    answer.rebuilds = body.mailbox.rebuilds
                    answer.safety = body.safety
                    answer.redisMode = self.settings.redis.url.kind.name
                    answer.redisServers = body.client?.places.map(\.description).sorted() ?? []
                    return answer
                })
        }
    }

    func inspectRedis(_ reply: @escaping @Sendable ((info: String, microseconds: Int64)?) -> Void) {
        self.loop.execute {
            let start = MonotonicTime.exact.nanoseconds
            self.body.with { body in
                let question = body.correspondence.ask(0, at: Self.now) { result in
                    let microseconds = (MonotonicTime.exact.nanoseconds - start) / 1000
                    reply((try? result.get()).map { ($0, microseconds) })
                }
                guard let question else { return reply(nil) }
                body.lastKnock += 1
                do throws(RedisError) {
                    try body.client?.command(tag: body.lastKnock) { $0.append("INFO") }
                    body.errands[body.lastKnock] = .redis(question)
                } catch {
                    body.correspondence.failed(question)?(.failure(.noAnswer))
                }
            }
        }
    }

    /// Reads what nodes say of themselves, where that is not known.
    func meetOthers(at now: Int64) {
        self.body.with { body in
            for node in body.acquaintances.follow(body.membership.known, at: now) {
                body.lastKnock += 1
                do throws(RedisError) {
                    try body.client?.command(tag: body.lastKnock, slot: RedisSlot(key: self.names.view)) { command in
                        command.append("HGET")
                        command.append(text: self.names.node(node))
                        command.append("record")
                    }
                    body.errands[body.lastKnock] = .record(node)
                } catch {
                    body.acquaintances.untold(of: node)
                }
            }
            body.correspondence.forget(allBut: Set(body.membership.known?.nodes.map(\.incarnation) ?? []))
        }
    }

    /// - Parameter reply: nil where Redis could not be asked.
    func errandDone(_ errand: Errand, _ reply: RedisReply?) {
        let now = Self.now
        switch errand {
        case .record(let node):
            self.body.with { body in
                guard let reply, reply.kind == .string || reply.isNull else { return body.acquaintances.untold(of: node) }
                body.acquaintances.told(reply.isNull ? nil : try? NodeRecord(text: reply.string), of: node, at: now)
            }
        case .question(let id):
            // A killed process shows at once.
            guard reply?.integer ?? 0 == 0 else { return }
            self.body.with { $0.correspondence.failed(id) }?(.failure(.noAnswer))
        case .redis(let id):
            let waiting = self.body.with { $0.correspondence.failed(id) }
            if let reply, reply.kind == .string { waiting?(.success(reply.string)) } else { waiting?(.failure(.noAnswer)) }
        case .events(let id, let tell): self.eventsCame(id, reply, tell)
        case .streams(let survey): self.looked(survey, reply)
        }
    }

    func endQuestions(at now: Int64) {
        for reply in self.body.with({ $0.correspondence.expired(at: now) }) { reply(.failure(.noAnswer)) }
    }

    func take(_ memo: Memo) {
        switch memo.kind {
        case .letter:
            // As with questions: nothing is taken of whom is not there.
            guard let loop = UInt16(memo.topic), self.body.with({ $0.membership.known?.node(memo.from) != nil }) else { return }
            self.receiver.receive(Letter(to: loop, memo.body), from: memo.from)
        case .answer:
            self.body.with { $0.correspondence.answered(memo.id, by: memo.from) }?(.success(memo.body))
        case .question:
            // Of whom is not there nothing is taken: what it once said could be said again by anybody who has heard it.
            let isTaken = self.body.with { body in
                body.membership.known?.node(memo.from) != nil && body.correspondence.mayAnswer(memo.id, from: memo.from)
            }
            guard isTaken else { return }
            Task {
                let text = await self.answering(memo.topic, memo.body)
                self.loop.execute { self.answer(memo, with: text) }
            }
        }
    }

    private func answer(_ question: Memo, with text: String?) {
        self.body.with { body in
            body.correspondence.hasAnswered()
            guard let text else { return }
            let answer = Memo(.answer, from: question.to, to: question.from, id: question.id, topic: question.topic, body: text)
            if answer.fits { body.outlet?.send(answer) }
        }
    }
}
