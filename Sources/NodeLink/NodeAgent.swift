import Bytes
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Synchronization
import Telemetry

/// Does what `Membership` decides: beats, proposes views, reads the node's mailbox. Lives on the node's first loop.
///
/// It has a connection of its own: what is said about who lives must not wait behind messages.
final class NodeAgent: EventLoopHandler, RedisClientUser {
    struct Body {
        var membership: Membership
        var record: NodeRecord
        var client: RedisClient?
        var subscriber: RedisSubscriber?
        var outlet: MailOutlet?
        /// The hash of the view that is known, as Redis keeps it.
        var knownHash = ""
        var proposedHash = ""
        var mailbox: OwnMailbox
        /// Of the conversations of which mail has come.
        var knownKeys = KnownKeys()
        /// Whose record stands where in the answer to the beat that is under way.
        var askedFor: [UInt64] = []
        var knocks: [UInt64: UInt64] = [:]
        var lastKnock: UInt64 = 1 << 32
        /// Why the cluster's own records cannot be read, or kept.
        var recordsProblem: String?
        /// Why mail cannot come in, or go out: Redis refuses to have the node subscribe, or publish.
        var subscribeProblem: String?
        var publishProblem: String?
        var mailProblem: String? { self.subscribeProblem ?? self.publishProblem }
        /// What was told of the mail last.
        var toldMailProblem: String?
        /// The other process that holds this node's name.
        var nameHolder: String?
        var toldNodes: [View.Node] = []
        /// Where Redis has what it has answered, in words; nil where it does not say.
        var safety: String?
        /// Advice about Redis' settings that the log has.
        var given: Set<String> = []
        var acquaintances = Acquaintances()
        var correspondence = Correspondence()
        /// What was asked of Redis for others, by tag.
        var errands: [UInt64: Errand] = [:]
    }

    enum Errand {
        /// What a node says of itself.
        case record(UInt64)
        /// Whether anybody heard a question to another node.
        case question(UInt64)
        /// What Redis says of itself.
        case redis(UInt64)
        /// What happened in the cluster.
        case events(UInt64, @Sendable ([NodeLink.Event]?) -> Void)
        case streams(Survey)
    }

    enum Tag {
        static let beat: UInt64 = 1
        static let propose: UInt64 = 2
        static let probe: UInt64 = 3
        static let settings: UInt64 = 4
        static let record: UInt64 = 5
    }

    let loop: EventLoop
    let standing = Mutex(NodeLink.Standing())
    let settings: NodeLinkSettings
    let names: LinkNames
    let receiver: any RelayReceiver
    let logger: Logger
    let answering: NodeLink.Answering
    let body: LoopBound<Body>

    init(
        _ settings: NodeLinkSettings, names: LinkNames, on loop: EventLoop, receiver: any RelayReceiver, logger: Logger,
        answering: @escaping NodeLink.Answering
    ) {
        self.loop = loop
        self.settings = settings
        self.names = names
        self.receiver = receiver
        self.logger = logger
        self.answering = answering
        let me = View.Node(incarnation: settings.record.incarnation, loops: settings.record.loops)
        self.body = LoopBound(Body(membership: Membership(me), record: settings.record, mailbox: OwnMailbox(at: Self.now)), on: loop)
    }

    func start() {
        self.loop.execute {
            let seed = self.settings.record.incarnation
            let client = RedisClient(self.settings.redis, scripts: LinkScripts.all, on: self.loop, seed: seed, user: self)
            let subscriber = RedisSubscriber(self.settings.redis, on: self.loop, seed: seed &+ 1, user: self)
            self.body.with {
                $0.client = client
                $0.subscriber = subscriber
                $0.outlet = MailOutlet(names: self.names, key: self.settings.key, client: client)
            }
            self.loop.admit(self)
            client.start()
            subscriber.start()
            self.tick(now: .now)
        }
    }

    /// From any thread.
    func change(_ change: @escaping @Sendable (inout Membership) -> Void) {
        self.loop.execute {
            self.body.with { change(&$0.membership) }
            self.tick(now: .now)
        }
    }

    static var now: Int64 { MonotonicTime.now.nanoseconds / 1_000_000 }

    // MARK: The loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {}

    func tick(now: MonotonicTime) {
        let now = now.nanoseconds / 1_000_000
        self.act { $0.membership.tick(at: now) }
        self.watchMail(at: now)
        self.endQuestions(at: now)
        self.listen()
        self.note()
    }

    /// Has the membership decide, and does what it says, and what follows from that.
    func act(_ decide: (inout Body) -> [Membership.Directive]) {
        for directive in self.body.with(decide) {
            switch directive {
            case .beat: self.beat()
            case .propose(let proposal): self.propose(proposal)
            case .follow(let view):
                self.tell(of: view)
                self.receiver.follow(view)
            case .become(let incarnation, let view):
                self.logger.warning(
                    "taken for dead, goes on as another",
                    ["incarnation": .text(LinkNames.text(incarnation)), "view": LogValue(view.number)])
                self.receiver.become(incarnation, in: view)
            case .knock(let node):
                self.body.with { body in
                    body.lastKnock += 1
                    body.knocks[body.lastKnock] = node
                    body.outlet?.knock(from: body.membership.me.incarnation, at: node, tag: body.lastKnock)
                }
            case .announce:
                self.body.with { body in
                    let me = body.membership.me.incarnation
                    for node in body.membership.view?.nodes ?? [] where node.incarnation != me {
                        body.outlet?.knock(from: me, at: node.incarnation)
                    }
                }
            }
        }
    }

    /// Who comes and goes is news; that some shards move is not.
    private func tell(of view: View) {
        let fields: LogFields = ["number": LogValue(view.number), "nodes": LogValue(view.nodes.count)]
        let isNews = self.body.with { body in
            defer { body.toldNodes = view.nodes }
            return body.toldNodes != view.nodes
        }
        if isNews { self.logger.info("view", fields) } else { self.logger.debug("view", fields) }
    }

    private func tell(of proposal: Membership.Proposal) {
        let fields: LogFields = [
            "reason": .text(proposal.reason.rawValue), "node": .text(LinkNames.text(proposal.incarnation)),
            "number": LogValue(proposal.number),
        ]
        if proposal.reason == .moves { self.logger.debug("view changed", fields) } else { self.logger.info("view changed", fields) }
    }

    private func note() {
        let standing = self.body.with { body in
            let membership = body.membership
            var standing = NodeLink.Standing()
            standing.isIn = membership.view?.node(membership.me.incarnation) != nil
            standing.hasHandedOver = membership.hasHandedOver
            if case .away(let outage)? = body.client?.state {
                standing.outage = outage.description
            } else {
                standing.outage = body.recordsProblem ?? body.mailProblem
            }
            standing.isNameTaken = body.nameHolder != nil
            return standing
        }
        self.standing.withLock { $0 = standing }
    }

    // MARK: Beats and views

    private func beat() {
        self.body.with { body in
            guard let client = body.client else { return }
            let me = body.membership.me.incarnation
            body.record.incarnation = me
            let known = body.membership.known
            body.askedFor = (known?.nodes ?? []).map(\.incarnation).filter { $0 != me }
            do throws(RedisError) {
                try client.command(tag: Tag.beat, slot: RedisSlot(key: self.names.view)) { command in
                    command.append(LinkScripts.beat, keyCount: 4 + body.askedFor.count)
                    command.append(text: self.names.view)
                    command.append(text: self.names.views)
                    command.append(text: self.names.node(me))
                    command.append(text: self.names.holder(of: body.record.name))
                    for node in body.askedFor { command.append(text: self.names.node(node)) }
                    command.append(known?.number ?? 0)
                    command.append(text: body.knownHash)
                    command.append(text: body.record.text)
                    command.append(LinkScripts.recordMilliseconds)
                    command.append(text: body.membership.mayHoldName(at: Self.now) ? self.process : "")
                    command.append(LinkScripts.nameMilliseconds)
                }
                if body.mailbox.incarnation == me { body.outlet?.knock(from: me, at: me, tag: Tag.probe) }
            } catch {
                body.membership.missed(at: Self.now)
            }
        }
    }

    private func propose(_ proposal: Membership.Proposal) {
        self.body.with { body in
            guard let client = body.client else { return }
            let text = proposal.view?.text ?? ""
            body.proposedHash = Self.hash(text)
            do throws(RedisError) {
                try client.command(tag: Tag.propose, slot: RedisSlot(key: self.names.view)) { command in
                    command.append(LinkScripts.propose, keyCount: 4)
                    command.append(text: self.names.view)
                    command.append(text: self.names.views)
                    command.append(text: self.names.events)
                    let isDeath = proposal.reason == .dies
                    command.append(text: isDeath ? self.names.node(proposal.incarnation) : self.names.holder(of: body.record.name))
                    command.append(proposal.replacing)
                    command.append(proposal.number)
                    command.append(text: text)
                    command.append(text: body.proposedHash)
                    command.append(LinkScripts.keptViews)
                    command.append(text: proposal.reason.rawValue)
                    command.append(text: LinkNames.text(proposal.incarnation))
                    command.append(proposal.age ?? 0)
                    let isMine = proposal.incarnation == body.membership.me.incarnation
                    command.append(text: isMine ? body.record.name : body.acquaintances.name(of: proposal.incarnation) ?? "")
                    command.append(text: self.process)
                }
            } catch {
                _ = body.membership.proposed(isKept: false, at: Self.now)
            }
        }
    }

    /// Tells this process from every other that goes by its name, in all its lives as a node.
    private var process: String { LinkNames.text(self.settings.record.incarnation) }

    private static func hash(_ text: String) -> String {
        String(StableHash.of(ByteString(text)), radix: 36)
    }

    func redisReplied(_ reply: RedisReply, to tag: UInt64) {
        let now = Self.now
        switch tag {
        case Tag.beat:
            guard let pulse = self.pulse(reply) else { return self.body.with { $0.membership.missed(at: now) } }
            self.act { $0.membership.heard(pulse, at: now) }
            self.meetOthers(at: now)
        case Tag.propose:
            let isKept = reply.integer == 1
            self.act { body in
                if isKept {
                    body.knownHash = body.proposedHash
                    if let proposal = body.membership.proposal { self.tell(of: proposal) }
                }
                return body.membership.proposed(isKept: isKept, at: now)
            }
            // At once: until it is known whether who is no longer there has left or died, nobody misses it.
            self.meetOthers(at: now)
        case Tag.probe:
            self.body.with {
                $0.mailbox.probeTaken(at: now)
                $0.publishProblem = nil
            }
        case Tag.settings: self.advise(RedisAdvice(reply))
        default:
            if let errand = self.body.with({ $0.errands.removeValue(forKey: tag) }) { return self.errandDone(errand, reply) }
            self.body.with { body in
                guard let node = body.knocks.removeValue(forKey: tag) else { return }
                body.membership.mailbox(of: node, isHeard: reply.integer ?? 0 > 0, at: now)
            }
        }
        self.listen()
        self.note()
    }

    func redisFailed(_ error: RedisError, tag: UInt64) {
        switch tag {
        case Tag.beat:
            if error.isAnswer { self.noteProblem("records not kept", self.recordsReason(error)) }
            self.body.with { $0.membership.missed(at: Self.now) }
        case Tag.propose:
            if error.isAnswer { self.noteProblem("records not kept", self.recordsReason(error)) }
            self.act { $0.membership.proposed(isKept: false, at: Self.now) }
        case Tag.probe:
            guard error.isAnswer else { return }
            self.noteMailProblem(error, self.publishCommand, at: \.publishProblem)
        default:
            if let errand = self.body.with({ $0.errands.removeValue(forKey: tag) }) { return self.errandDone(errand, nil) }
            _ = self.body.with { $0.knocks.removeValue(forKey: tag) }
        }
    }

    private func recordsReason(_ error: RedisError) -> String {
        guard case .notPermitted = error else { return error.description }
        return "\(error) A node needs EVALSHA, and in its scripts the commands of the groups read and write, on the keys "
            + "\(self.names.cluster):*; docs/operating.md has the rule, and ACL LOG says what was refused."
    }

    private var isRedisCluster: Bool { self.settings.redis.url.kind == .cluster }
    private var publishCommand: String { self.isRedisCluster ? "SPUBLISH" : "PUBLISH" }
    var subscribeCommand: String { self.isRedisCluster ? "SSUBSCRIBE" : "SUBSCRIBE" }

    /// Redis refuses what mail needs: in the log once, and why the node does not get in or is not well.
    func noteMailProblem(_ error: RedisError, _ command: String, at place: WritableKeyPath<Body, String?>) {
        let channel = self.names.mailbox(self.body.with { $0.mailbox.incarnation })
        var reason = "\(error)"
        if case .notPermitted = error {
            reason +=
                " A node needs \(command) on the channels \(self.names.cluster):* (refused: \(channel)); docs/operating.md has the rule."
        } else {
            reason += " (\(command) \(channel))"
        }
        let isNews = self.body.with { body in
            // The channel is another one in every life of a node; what is wrong is the same.
            defer { body[keyPath: place] = reason }
            return body[keyPath: place] == nil
        }
        if isNews { self.logger.error("mail is refused by redis", ["reason": .text(reason)]) }
        self.note()
    }

    /// In the log once, not twice a second.
    private func noteProblem(_ name: StaticString, _ reason: String) {
        let isNews = self.body.with { body in
            defer { body.recordsProblem = reason }
            return body.recordsProblem != reason
        }
        if isNews { self.logger.error(name, ["reason": .text(reason)]) }
        self.note()
    }

    /// Nil where what is kept is no view of ours: then nothing is done about it, and the log says so.
    private func pulse(_ reply: RedisReply) -> Membership.Pulse? {
        guard let time = reply[0]?.integer, let number = reply[1]?.integer, let texts = reply[2], let beats = reply[3] else { return nil }
        var views: [View] = []
        var newest = ""
        do throws(KeptTextError) {
            for text in texts.elements {
                newest = text.string
                views.append(try View(text: newest))
            }
        } catch {
            self.noteProblem("view unreadable", error.description)
            return nil
        }
        let holder = reply[4]?.string ?? ""
        self.noteHolder(holder == self.process || holder.isEmpty ? nil : holder)
        return self.body.with { body in
            body.recordsProblem = nil
            if !newest.isEmpty { body.knownHash = Self.hash(newest) }
            var ages: [UInt64: Int64] = [:]
            for (node, beat) in zip(body.askedFor, beats.elements) { ages[node] = beat.integer }
            return Membership.Pulse(
                time: time, number: Int(number), views: views, beats: ages, hasName: holder == self.process)
        }
    }

    /// In the log when it changes.
    private func noteHolder(_ holder: String?) {
        let (before, isIn) = self.body.with { body in
            defer { body.nameHolder = holder }
            return (body.nameHolder, body.membership.view?.node(body.membership.me.incarnation) != nil)
        }
        guard before != holder else { return }
        let fields: LogFields = ["name": .text(self.settings.record.name), "process": .text(holder ?? self.process)]
        if holder == nil {
            self.logger.info("name is free", fields)
        } else if isIn {
            self.logger.warning("another node goes by the same name", fields)
        } else {
            self.logger.warning("name is in use by a living node, waits until its lease ends", fields)
        }
    }

    func redisChanged(_ state: RedisClient.State) {
        let now = Self.now
        if case .away(let outage) = state { self.logger.warning("redis is away", ["reason": .text(outage.description)]) }
        if case .ready = state { self.logger.info("redis is there") }
        self.body.with { body in
            guard case .ready = state else { return body.membership.disconnected() }
            body.membership.connected(at: now)
            // A user of Redis that may not ask this is told nothing.
            for master in body.client?.masters ?? [] {
                try? body.client?.command(tag: Tag.settings, slot: master) { command in
                    command.append("CONFIG")
                    command.append("GET")
                    for setting in RedisAdvice.settings { command.append(setting) }
                }
            }
        }
        self.note()
    }

    /// Once for each thing that is wrong: it is as wrong after every reconnection.
    private func advise(_ advice: RedisAdvice) {
        let news = self.body.with { body in
            body.safety = advice.safety
            defer { body.given.formUnion(advice.sentences) }
            return advice.sentences.filter { !body.given.contains($0) }
        }
        for sentence in news { self.logger.warning("redis settings", ["reason": .text(sentence)]) }
    }
}
