internal import Bytes

/// What a new connection says before any command, all of it at once, and what each answer means.
struct RedisHandshake {
    enum HandshakeStep: Equatable {
        case authenticate, select, setName, checkRole, checkReplySuppression, loadScript, ping
    }

    private(set) var steps: [HandshakeStep] = []
    private(set) var output = SendBuffer()
    private var answeredCount = 0
    private let database: Int
    /// The server can be told to answer a command with nothing.
    private(set) var canSuppressReplies = false

    init(_ settings: RedisSettings, scripts: [RedisScript], to counterpart: RedisSession.ServerRole)
    {
        let url = settings.url
        self.database = url.database
        if let password = url.password, counterpart != .sentinel(authenticates: false) {
            self.addStep(.authenticate) {
                $0.append("AUTH")
                if let user = url.user { $0.append(text: user) }
                $0.append(text: password.text)
            }
        }
        if url.database != 0, !counterpart.isSentinel {
            self.addStep(.select) {
                $0.append("SELECT")
                $0.append(url.database)
            }
        }
        if let name = settings.name {
            self.addStep(.setName) {
                $0.append("CLIENT")
                $0.append("SETNAME")
                $0.append(text: name)
            }
        }
        if settings.suppressesReplies, counterpart == .standalone || counterpart == .master {
            self.addStep(.checkReplySuppression) {
                $0.append("CLIENT")
                $0.append("REPLY")
                $0.append("ON")
            }
        }
        if counterpart == .master { self.addStep(.checkRole) { $0.append("ROLE") } }
        for script in scripts { self.addStep(.loadScript) { $0.append(loading: script) } }
        // Last, because its answer says whether the server takes commands at all.
        self.addStep(.ping) { $0.append("PING") }
    }

    private mutating func addStep(
        _ step: HandshakeStep, _ write: (inout RedisCommandWriter) -> Void
    ) {
        self.steps.append(step)
        _ = self.output.write(byteLimit: .max, write)
    }

    var isComplete: Bool { self.answeredCount == self.steps.count }

    mutating func didSend(_ count: Int) {
        self.output.didSend(count)
    }

    /// Takes the answer to the next step. Throws what makes the connection useless.
    mutating func receive(_ reply: RedisReply) throws(RedisOutage) {
        let step = self.steps[self.answeredCount]
        self.answeredCount += 1
        guard reply.kind == .error else {
            if step == .checkRole, reply[0]?.isText("master") != true { throw .notMaster }
            if step == .checkReplySuppression { self.canSuppressReplies = true }
            return
        }
        switch (step, RedisError(reply: reply.bytes)) {
        // The one is for CLIENT LIST, the other saves work, and not everybody may.
        case (.setName, _), (.checkReplySuppression, _): break
        // Who may not ask, or not write, may be let in all the same; commands say it for themselves.
        case (.ping, .notPermitted), (.ping, .snapshotFailed): break
        case (.select, .other(let words)): throw .noDatabase(self.database, .other(words))
        case (_, let error): throw .refused(error)
        }
    }
}

extension RedisCommandWriter {
    mutating func append(loading script: RedisScript) {
        self.append("SCRIPT")
        self.append("LOAD")
        self.append(text: script.source)
    }
}
