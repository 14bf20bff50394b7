import Bytes
import ChatCore
import ChatModel
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// Requests of Engine.IO that have come to this node and are for another's sessions.
extension LoopState {
    /// Whether a session may be at a node: one that is not there has none.
    func isThere(_ node: UInt64) -> Bool { self.relay != nil && self.chat.view.node(node) != nil }

    /// Asks the session's node; whoever waits for the answer is a connection that reads nothing else meanwhile.
    ///
    /// - Parameter number: of a POST whose head has been carried.
    mutating func carry(
        _ kind: EngineLetter.Kind, to home: EngineHome, _ session: EngineSessionID, by visitor: EngineVisitor = .nobody,
        for asker: SocketToken, _ body: String, number: UInt64 = EngineLetter.mintedNumber()
    ) {
        let errand = EngineErrand(
            kind: kind, node: home.node, loop: UInt16(clamping: home.loop), session: session, visitor: visitor, asker: asker, body: body,
            askAgainAt: 0, giveUpAt: kind == .poll || kind == .began ? .max : self.now.monotonic + EngineErrand.patience)
        self.errands[number] = errand
        self.ask(number)
    }

    private mutating func ask(_ number: UInt64) {
        guard let errand = self.errands[number] else { return }
        self.errands[number]!.askAgainAt = self.now.monotonic + errand.pause
        let text = EngineLetter.text(errand.kind, number, from: UInt16(self.index), errand.session, by: errand.visitor, errand.body)
        self.relay?.send(Letter(to: errand.loop, text), to: errand.node, from: self.chat.id)
    }

    /// What has not been answered is asked for again, and what cannot be is given up.
    mutating func lookAfterErrands() {
        for (number, errand) in self.errands where errand.askAgainAt <= self.now.monotonic {
            if errand.giveUpAt <= self.now.monotonic || !self.isThere(errand.node) {
                self.answered(number, .refused(.unknownSession, closes: false))
            } else {
                self.ask(number)
            }
        }
        for (number, departed) in self.departed where departed.until <= self.now.monotonic { self.departed[number] = nil }
    }

    /// The connection that waited is gone.
    mutating func forgetErrands(of token: SocketToken) {
        guard !self.errands.isEmpty else { return }
        for (number, errand) in self.errands where errand.asker == token {
            self.errands[number] = nil
            guard errand.kind == .poll else { continue }
            self.tell(.broke, number, errand.node, errand.loop, errand.session)
        }
    }

    /// A POST has broken off before its body was whole.
    func postTorn(_ number: UInt64, of session: EngineSessionID, by visitor: EngineVisitor, at home: EngineHome) {
        self.tell(.torn, number, home.node, UInt16(clamping: home.loop), session, by: visitor)
    }

    private func tell(
        _ kind: EngineLetter.Kind, _ number: UInt64, _ node: UInt64, _ loop: UInt16, _ session: EngineSessionID,
        by visitor: EngineVisitor = .nobody
    ) {
        let text = EngineLetter.text(kind, 0, from: UInt16(self.index), session, by: visitor, String(number))
        self.relay?.send(Letter(to: loop, text), to: node, from: self.chat.id)
    }

    private mutating func answered(_ number: UInt64, _ answer: EngineLetter.Answer) {
        guard let errand = self.errands.removeValue(forKey: number) else { return self.probeClosed(number, answer) }
        guard self.isCurrent(errand.asker) else { return }
        let slot = Int(errand.asker.slot)
        switch (self.connections[slot]!.stage, answer) {
        case (.http(let exchange), _):
            guard let engine = exchange.engine else { return }
            if errand.kind == .probe, let upgrade = engine.upgrade {
                engine.upgrade = nil
                switch answer {
                case .taken: return self.beginCarriedProbe(slot, errand, number, upgrade)
                case .closed:
                    self.beginCarriedProbe(slot, errand, number, upgrade)
                    return self.probeClosed(number, answer)
                case .payload, .refused, .departed: break
                }
            }
            let request = EngineRequestID(errand.asker)
            switch answer {
            case .payload(let text): self.respond(request, engine, .init(contentType: "text/plain; charset=UTF-8", body: Array(text.utf8)))
            case .taken: self.respond(request, engine, .init(contentType: "text/html", body: Array("ok".utf8)))
            case .refused(let refusal, let closes):
                if closes { engine.answering.keepsAlive = false }
                self.refuse(request, engine, refusal)
            case .departed, .closed: self.refuse(request, engine, .unknownSession)
            }
        case (.webSocket(let talk), .departed(let text)):
            guard let probe = talk.carriedProbe, let departure = EngineDeparture(text) else { return }
            self.arrive(slot, talk, probe.session, departure)
        case (.webSocket(let talk), .closed(let code, let reason)):
            self.closeWebSocket(slot, talk, WebSocketCloseCode(rawValue: code), String(reason))
        case (.webSocket(let talk), _):
            self.closeWebSocket(slot, talk, WebSocketCloseCode(rawValue: 1008), "the session is over")
        default:
            break
        }
    }

    /// The session has closed a WebSocket that was to take it over.
    private mutating func probeClosed(_ number: UInt64, _ answer: EngineLetter.Answer) {
        guard case .closed(let code, let reason) = answer, let token = self.carriedProbes[number], self.isCurrent(token),
            case .webSocket(let talk) = self.connections[Int(token.slot)]!.stage, talk.carriedProbe?.number == number
        else { return }
        self.closeWebSocket(Int(token.slot), talk, WebSocketCloseCode(rawValue: code), String(reason))
    }

    // MARK: A WebSocket that takes over

    private mutating func beginCarriedProbe(_ slot: Int, _ errand: EngineErrand, _ number: UInt64, _ upgrade: WebSocketUpgrade) {
        self.framing.removeAll()
        upgrade.uncompressed.appendResponse(to: &self.framing)
        self.send(slot, SharedFrame(self.framing.bytes))
        let talk = self.talk(nil, dialect: -1, takesCompression: false, isCompressed: false)
        talk.carriedProbe = CarriedProbe(number: number, node: errand.node, loop: errand.loop, session: errand.session)
        self.connections[slot]!.stage = .webSocket(talk)
        // The session closes it when that took too long; later than that there is none.
        self.setDeadline(slot, after: .milliseconds(self.shared.engine?.settings.upgradeTimeout ?? 0) + .seconds(1))
        let token = self.connections[slot]!.token
        self.carriedProbes[number] = token
        if self.isCurrent(token), !self.connections[slot]!.unread.isEmpty {
            self.pauseReading(slot)
            self.resumeReading(slot)
        }
    }

    /// `2probe`, and then `5`.
    mutating func received(
        _ slot: Int, _ talk: WebSocketTalk, _ probe: CarriedProbe, _ kind: WebSocketMessageKind, _ bytes: UnsafeRawBufferPointer
    ) {
        let text = String(decoding: bytes, as: UTF8.self)
        switch (kind, text, probe.isProbed) {
        case (.text, "2probe", false):
            talk.carriedProbe!.isProbed = true
            Array("3probe".utf8).withUnsafeBytes { self.sendFrame(slot, .text, $0) }
        case (.text, "5", true):
            self.pauseReading(slot)
            let home = EngineHome(node: probe.node, loop: Int(probe.loop))
            self.carry(.take, to: home, probe.session, for: self.connections[slot]!.token, String(probe.number))
        default:
            self.closeWebSocket(
                slot, talk, WebSocketCloseCode(rawValue: 1002), "the packet \(probe.isProbed ? "5" : "2probe") was expected")
        }
    }

    mutating func probeDropped(_ probe: CarriedProbe) {
        self.carriedProbes[probe.number] = nil
        self.tell(.closed, probe.number, probe.node, probe.loop, probe.session)
    }

    /// The session is here from now on.
    private mutating func arrive(_ slot: Int, _ probe: WebSocketTalk, _ id: EngineSessionID, _ departure: EngineDeparture) {
        guard let engine = self.shared.engine,
            let session = self.shared.settings.dialects[engine.dialect].resume(
                departure.state, allowsAnonymous: self.shared.settings.allowsAnonymous, at: self.now.monotonic)
        else { return self.closeWebSocket(slot, probe, WebSocketCloseCode(rawValue: 1008), "the session is over") }
        if let number = probe.carriedProbe?.number { self.carriedProbes[number] = nil }
        let token = self.connections[slot]!.token
        let socket = EngineSocketID(token)
        let talk = self.talk(session, dialect: engine.dialect, takesCompression: false, isCompressed: false)
        talk.reader = probe.reader
        talk.engine = EngineTalk(EngineSession(id, engine.settings, movedTo: socket, at: self.now.monotonic), socket: socket)
        if departure.expiresAfter != 0 { talk.expiresAt = self.now.monotonic + departure.expiresAfter }
        self.connections[slot]!.stage = .webSocket(talk)
        self.engines[id] = token
        for packet in departure.packets { Array(packet.utf8).withUnsafeBytes { self.sendFrame(slot, .text, $0) } }
        self.begin(talk, slot)
        if self.isCurrent(token) { self.resumeIfFree(slot, talk) }
    }

    // MARK: What other nodes carry here

    mutating func takeLetter(_ text: String, from node: UInt64) {
        switch EngineLetter(text) {
        case .question(let question): self.take(question, from: node)
        case .answer(let number, let answer): self.answered(number, answer)
        case .word(let dialect, let word):
            self.shared.settings.dialects.first { $0.name.description == dialect }?.heard(word)
        case nil: break
        }
    }

    /// Something that all nodes' sessions of a dialect go by.
    func announce(_ word: String, of dialect: Int) {
        guard let relay = self.relay else { return }
        let letter = Letter(to: 0, EngineLetter.text(word, of: self.shared.settings.dialects[dialect].name.description))
        for node in self.chat.view.nodes where node.incarnation != self.chat.id.incarnation {
            relay.send(letter, to: node.incarnation, from: self.chat.id)
        }
    }

    private mutating func take(_ question: EngineLetter.Question, from node: UInt64) {
        if let departed = self.departed[question.number] { return self.reply(departed.answer, to: node, question.loop) }
        guard let token = self.engines[question.session], self.isCurrent(token),
            case .webSocket(let talk) = self.connections[Int(token.slot)]!.stage, let engine = talk.engine
        else {
            return self.refuse(question, .unknownSession, to: node)
        }
        guard self.maySpeak(question.visitor, for: talk) else { return self.refuse(question, .forbidden, to: node) }
        self.table.hot[Int(token.slot)].heardAt = self.tickNumber
        if var known = engine.carried[question.number] {
            known.node = node
            known.loop = question.loop
            known.heardAt = self.now.monotonic
            engine.carried[question.number] = known
            if let answer = known.answer { return self.reply(answer, to: node, question.loop) }
            guard question.kind == .take || known.kind == .began && question.kind.bringsBody else { return }
        }
        let now = self.now.monotonic
        switch question.kind {
        case .poll:
            self.remember(question, from: node, engine)
            self.drive(token) { $0.poll(EngineRequestID(carried: question.number), at: now, into: &$1) }
        case .began:
            self.beginPost(question, announcedBytes: Int(question.body), from: node, token, engine)
        case .post, .bytes:
            let body = question.kind == .post ? Array(question.body.utf8) : Base64URL.decode(question.body.utf8)
            guard let body, self.beginPost(question, announcedBytes: body.count, from: node, token, engine) else { return }
            self.drive(token, body) { $0.postEnded(EngineRequestID(carried: question.number), $1, at: now, into: &$2) }
        case .tooLong:
            guard self.beginPost(question, announcedBytes: .max, from: node, token, engine) else { return }
            self.drive(token) { $0.postTooLarge(EngineRequestID(carried: question.number), into: &$1) }
        case .probe:
            self.remember(question, from: node, engine)
            self.drive(token, Array("2probe".utf8)) {
                $0.socketOpened(EngineSocketID(carried: question.number), at: now, into: &$2)
                $0.received($1, on: EngineSocketID(carried: question.number), at: now, into: &$2)
            }
        case .take:
            guard let socket = UInt64(question.body) else { return }
            self.depart(token, talk, engine, EngineSocketID(carried: socket), question, to: node)
        case .broke:
            guard let number = UInt64(question.body) else { return }
            self.drive(token) { $0.pollBroke(EngineRequestID(carried: number), into: &$1) }
        case .torn:
            guard let number = UInt64(question.body) else { return }
            let hasBegun = engine.carried[number]?.hasBegun ?? false
            self.drive(token) {
                if !hasBegun { $0.postBegan(EngineRequestID(carried: number), announcedBytes: nil, into: &$1) }
                $0.postBroke(EngineRequestID(carried: number), into: &$1)
            }
        case .closed:
            guard let number = UInt64(question.body) else { return }
            self.drive(token) { $0.socketClosed(EngineSocketID(carried: number), into: &$1) }
        }
    }

    private func refuse(_ question: EngineLetter.Question, _ refusal: EngineRefusal, to node: UInt64) {
        switch question.kind {
        // Nobody waits for an answer.
        case .broke, .closed, .torn: return
        case .poll, .post, .bytes, .began, .tooLong, .probe, .take:
            // The session's own node does not wait for the body of what it refuses.
            let closes = question.kind == .began || question.kind.bringsBody
            self.reply(EngineLetter.text(question.number, .refused(refusal), EngineSteps(), closes: closes), to: node, question.loop)
        }
    }

    /// The session takes the head of a POST, unless it has taken it before.
    ///
    /// - Returns: whether it waits for the body.
    @discardableResult
    private mutating func beginPost(
        _ question: EngineLetter.Question, announcedBytes: Int?, from node: UInt64, _ token: SocketToken, _ engine: EngineTalk
    ) -> Bool {
        let number = question.number
        if engine.carried[number]?.hasBegun == true {
            engine.carried[number]!.kind = question.kind
            return true
        }
        self.remember(question, from: node, engine)
        // Who is made to wait sends no more than that besides.
        let isTooMuch = engine.unreadBytes > (self.shared.engine?.settings.maxPayload ?? 0)
        self.drive(token) {
            $0.postBegan(EngineRequestID(carried: number), announcedBytes: isTooMuch ? .max : announcedBytes, into: &$1)
        }
        guard let request = engine.carried[number], request.answer == nil else { return false }
        engine.carried[number]!.hasBegun = true
        return true
    }

    private func remember(_ question: EngineLetter.Question, from node: UInt64, _ engine: EngineTalk) {
        if engine.carried.count >= CarriedRequest.limit,
            let oldest = engine.carried.filter({ $0.value.answer != nil }).min(by: { $0.value.heardAt < $1.value.heardAt })
        {
            engine.carried[oldest.key] = nil
        }
        engine.carried[question.number] = CarriedRequest(node: node, loop: question.loop, kind: question.kind, heardAt: self.now.monotonic)
    }

    private func reply(_ text: String, to node: UInt64, _ loop: UInt16) {
        self.relay?.send(Letter(to: loop, text), to: node, from: self.chat.id)
    }

    /// A request that another node carries has its answer.
    mutating func answerCarried(_ request: EngineRequestID, _ answer: EngineAnswer, _ steps: EngineSteps, of session: SocketToken) {
        guard case .webSocket(let talk)? = self.connections[Int(session.slot)]?.stage, let engine = talk.engine,
            var known = engine.carried[request.rawValue], known.answer == nil
        else { return }
        let closes = !known.hasBegun && (known.kind == .began || known.kind.bringsBody)
        let text = EngineLetter.text(request.rawValue, answer, steps, closes: closes)
        known.answer = text
        engine.carried[request.rawValue] = known
        // Of polls the last answer is enough: the client polls again only when it has it.
        if known.kind == .poll {
            for (number, other) in engine.carried where other.kind == .poll && other.answer != nil && number != request.rawValue {
                engine.carried[number] = nil
            }
        }
        self.reply(text, to: known.node, known.loop)
        guard self.isCurrent(session), !self.connections[Int(session.slot)]!.backlog.isEmpty else { return }
        self.drainBacklog(Int(session.slot))
    }

    /// A WebSocket elsewhere may take over: whoever carries it is told. What the session wants sent there is said there.
    mutating func probeTaken(_ socket: EngineSocketID, of session: SocketToken) {
        self.answerCarried(EngineRequestID(carried: socket.rawValue), .taken, EngineSteps(), of: session)
    }

    /// The session closes it, be it that it has said before that it may take over.
    func probeClosed(_ socket: EngineSocketID, code: UInt16, _ reason: String, of session: SocketToken) {
        guard case .webSocket(let talk)? = self.connections[Int(session.slot)]?.stage, let engine = talk.engine,
            let known = engine.carried[socket.rawValue]
        else { return }
        let text = EngineLetter.text(socket.rawValue, closed: code, reason)
        engine.carried[socket.rawValue]!.answer = text
        self.reply(text, to: known.node, known.loop)
    }

    /// A session is over: its last answers are given again for a while, where they were lost.
    mutating func keepAnswers(of engine: EngineTalk) {
        for (number, request) in engine.carried {
            guard let answer = request.answer, self.departed[number] == nil, self.departed.count < CarriedRequest.lateLimit else {
                continue
            }
            self.departed[number] = (answer, self.now.monotonic + CarriedRequest.patience)
        }
    }

    /// Polls, and POSTs whose bodies are under way, that no node asks for any more have broken.
    mutating func lookAfterCarried(_ session: SocketToken, _ engine: EngineTalk) {
        guard !engine.carried.isEmpty else { return }
        for (number, request) in engine.carried where self.now.monotonic - request.heardAt > CarriedRequest.patience {
            engine.carried[number] = nil
            guard request.answer == nil else { continue }
            switch request.kind {
            case .poll: self.drive(session) { $0.pollBroke(EngineRequestID(carried: number), into: &$1) }
            case .began: self.drive(session) { $0.postBroke(EngineRequestID(carried: number), into: &$1) }
            default: break
            }
        }
    }

    /// The session goes to the node that has its WebSocket, when nothing that it has asked for is on its way any more.
    private mutating func depart(
        _ token: SocketToken, _ talk: WebSocketTalk, _ engine: EngineTalk, _ socket: EngineSocketID, _ question: EngineLetter.Question,
        to node: UInt64
    ) {
        let slot = Int(token.slot)
        guard talk.underWay == 0, talk.awaited == 0, engine.unread.isEmpty else { return }
        // Everything that the feeds have shown is in the outbox or behind it.
        self.writeTurn(slot)
        guard self.isCurrent(token), let session = talk.session else { return }
        var steps = EngineSteps()
        engine.session.received(Array("5".utf8).span.bytes, on: socket, at: self.now.monotonic, into: &steps)
        guard engine.session.socket == socket else {
            return self.reply(EngineLetter.text(question.number, .refused(.badRequest), steps), to: node, question.loop)
        }
        var packets: [String] = []
        for step in steps.list {
            switch step {
            case .answer(let request, let answer): self.answer(request, answer, steps, of: token)
            case .send(let packet, _): packet.withBytes { packets.append(String(decoding: $0, as: UTF8.self)) }
            case .closeSocket, .message, .binary, .upgraded, .closed: break
            }
        }
        packets += self.backlogPackets(slot)
        let places = talk.memberships.map {
            (conversation: $0.conversation, through: $0.catchUp?.through ?? self.chat.shownThrough($0.feed))
        }
        if let state = session.standing(at: places, now: self.now.monotonic) {
            let left = talk.expiresAt == 0 ? 0 : max(1, talk.expiresAt - self.now.monotonic)
            let text = EngineLetter.text(
                question.number, departed: EngineDeparture(expiresAfter: left, state: state, packets: packets).text)
            self.departed[question.number] = (text, self.now.monotonic + CarriedRequest.patience)
            self.reply(text, to: node, question.loop)
        } else {
            self.reply(EngineLetter.text(question.number, .refused(.unknownSession), EngineSteps()), to: node, question.loop)
        }
        self.engines[engine.session.id] = nil
        self.drop(slot)
    }
}

extension EngineLetter.Kind {
    /// Of a POST: its session need not wait for more.
    var bringsBody: Bool { self == .post || self == .bytes || self == .tooLong }
}

/// A WebSocket here that is to take over from a session elsewhere.
struct CarriedProbe {
    let number: UInt64
    let node: UInt64
    let loop: UInt16
    let session: EngineSessionID
    /// `2probe` has come.
    var isProbed = false
}
