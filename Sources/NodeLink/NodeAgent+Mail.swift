import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Telemetry

/// What comes by the node's mailbox, and whether anything does.
extension NodeAgent: RedisSubscriberUser {
    func listen() {
        self.body.with { body in
            guard let subscriber = body.subscriber, let move = body.mailbox.move(to: body.membership.me.incarnation, at: Self.now)
            else { return }
            if let old = move.old { subscriber.unsubscribe(from: self.names.mailbox(old)) }
            subscriber.subscribe(to: self.names.mailbox(move.new))
        }
    }

    func redisSubscribed(to channel: UnsafeRawBufferPointer) {
        self.body.with { $0.subscribeProblem = nil }
        // What was published while nobody listened is lost, and nothing needs to wait until that is noticed.
        if self.body.with({ $0.mailbox.subscribed(at: Self.now) }) { self.receiver.mailWasLost() }
    }

    func redisPublished(_ payload: UnsafeRawBufferPointer, in channel: UnsafeRawBufferPointer) {
        let me = self.body.with { $0.membership.me.incarnation }
        let now = Self.now
        do throws(ParcelError) {
            guard !Memo.isMarked(payload.bytes) else { return self.take(try Memo(payload.bytes, for: me, key: self.settings.key)) }
            let parcel = try self.body.with { body throws(ParcelError) in
                try Parcel(payload.bytes, for: me, key: self.settings.key, known: &body.knownKeys)
            }
            for envelope in parcel.envelopes { self.receiver.receive(envelope) }
            self.body.with { body in
                if parcel.from == me {
                    body.mailbox.heard(at: now)
                    body.membership.probed(at: now)
                } else if parcel.envelopes.isEmpty {
                    body.membership.announced(at: now)
                }
            }
            if parcel.envelopes.isEmpty, parcel.from != me { self.act { $0.membership.tick(at: now) } }
        } catch {
            self.logger.warning("mail refused", ["reason": .text(error.description)])
        }
    }

    func redisSubscriberChanged(_ state: RedisClient.State) {
        guard case .away(.refused(let error)) = state else { return }
        self.noteMailProblem(error, self.subscribeCommand, at: \.subscribeProblem)
    }

    /// A node that does not hear itself hears nobody: it listens anew, and says that it is ill until it does.
    func watchMail(at now: Int64) {
        let (change, problem, isOtherProblem) = self.body.with { body in
            if case .ready? = body.subscriber?.state, case .ready? = body.client?.state, body.mailbox.mustListenAnew(at: now) {
                body.subscriber?.reconnect()
            }
            let change = body.mailbox.change(at: now)
            let problem = body.mailbox.isGood ? nil : body.mailProblem ?? "the node does not hear its own mailbox in Redis"
            defer { body.toldMailProblem = problem }
            return (change, problem, problem != body.toldMailProblem)
        }
        if change != nil || isOtherProblem { self.receiver.linkFailed(problem) }
        guard let isGood = change else { return }
        if isGood { self.logger.info("mail flows again") } else { self.logger.warning("mail does not flow") }
    }
}
