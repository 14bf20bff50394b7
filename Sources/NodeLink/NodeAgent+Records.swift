import Bytes
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import RedisStore

/// What is kept in Redis and looked at for operators: what happened in the cluster, and how much room conversations take.
extension NodeAgent {
    /// A survey that takes longer ends with what it has seen.
    private static let surveyPatience: Int64 = 1000

    // MARK: What happened

    /// From any thread. Nobody hears what becomes of it: the node's log has it, too.
    func record(_ event: String, _ details: [NodeLink.Event.Detail]) {
        self.loop.execute {
            self.body.with { body in
                let me = body.membership.me.incarnation
                let own: [NodeLink.Event.Detail] = [
                    .init("event", event), .init("node", LinkNames.text(me)), .init("name", body.record.name),
                    .init("view", String(body.membership.view?.number ?? 0)),
                ]
                try? body.client?.command(tag: Tag.record, slot: RedisSlot(key: self.names.view)) { command in
                    command.append("XADD")
                    command.append(text: self.names.events)
                    command.append("MAXLEN")
                    command.append("~")
                    command.append(LinkScripts.keptEvents)
                    command.append("*")
                    for detail in own + details {
                        command.append(text: detail.name)
                        command.append(text: detail.value)
                    }
                }
            }
        }
    }

    /// From any thread; the answer comes on the loop.
    ///
    /// - Parameters:
    ///   - id: what came after this event; nil: the newest.
    ///   - reply: told nil where Redis does not say.
    func events(after id: String?, limit: Int, reply: @escaping @Sendable ([NodeLink.Event]?) -> Void) {
        self.loop.execute {
            self.body.with { body in
                guard let question = body.correspondence.ask(0, at: Self.now, reply: { _ in reply(nil) }) else { return reply(nil) }
                self.run(.events(question, reply), slot: RedisSlot(key: self.names.view), &body) { command in
                    command.append(id == nil ? "XREVRANGE" : "XRANGE")
                    command.append(text: self.names.events)
                    command.append(text: id.map { "(\($0)" } ?? "+")
                    command.append(id == nil ? "-" : "+")
                    command.append("COUNT")
                    command.append(limit)
                }
            }
        }
    }

    // MARK: How much room

    /// From any thread; the answer comes on the loop: the bytes of all streams, nil where Redis does not say.
    func measureStreams(_ reply: @escaping @Sendable (Int?) -> Void) {
        self.loop.execute {
            self.body.with { body in
                let survey = StreamSurvey(of: self.names.cluster, at: body.client?.masters ?? [])
                guard survey.slot != nil, let question = body.correspondence.ask(0, at: Self.now, reply: { _ in reply(nil) })
                else { return reply(nil) }
                self.look(Survey(streams: survey, question: question, until: Self.now + Self.surveyPatience, reply: reply), &body)
            }
        }
    }

    struct Survey {
        var streams: StreamSurvey
        let question: UInt64
        let until: Int64
        let reply: @Sendable (Int?) -> Void
    }

    private func look(_ survey: Survey, _ body: inout Body) {
        guard let slot = survey.streams.slot, Self.now < survey.until else {
            if body.correspondence.failed(survey.question) != nil { survey.reply(survey.streams.bytes) }
            return
        }
        self.run(.streams(survey), slot: slot, &body) { survey.streams.write(to: &$0) }
    }

    /// Asks Redis; where it cannot be asked, whoever waits hears that when its patience ends.
    private func run(_ errand: Errand, slot: RedisSlot, _ body: inout Body, _ write: (inout RedisCommandWriter) -> Void) {
        body.lastKnock += 1
        if (try? body.client?.command(tag: body.lastKnock, slot: slot, write)) != nil { body.errands[body.lastKnock] = errand }
    }

    // MARK: Answers

    func looked(_ survey: Survey, _ reply: RedisReply?) {
        self.body.with { body in
            var survey = survey
            if let reply, survey.streams.take(reply) { return self.look(survey, &body) }
            body.correspondence.failed(survey.question)?(.failure(.noAnswer))
        }
    }

    func eventsCame(_ question: UInt64, _ reply: RedisReply?, _ tell: ([NodeLink.Event]?) -> Void) {
        guard self.body.with({ $0.correspondence.failed(question) }) != nil else { return }
        tell(reply.map { $0.elements.compactMap(NodeLink.Event.init).sorted { $0.order < $1.order } })
    }
}
