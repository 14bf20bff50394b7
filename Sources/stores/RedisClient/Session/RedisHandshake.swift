internal import Bytes

/// The commands that a new connection sends first, in one write, and the checks of their replies.
struct RedisHandshake {
    enum HandshakeStep: Equatable {
        case authenticate, select, setName, checkRole, checkReplySuppression, loadScript, ping
    }

    private(set) var steps: [HandshakeStep] = []
    private(set) var output = SendBuffer()
    private var answeredCount = 0
    private let database: Int
    /// The server accepts CLIENT REPLY, so replies can be suppressed.
    private(set) var canSuppressReplies = false

    init(_ settings: RedisSettings, scripts: [RedisScript], to role: RedisSession.ServerRole) {
        let url = settings.url
        self.database = url.database
        if let password = url.password, role != .sentinel(authenticates: false) {
            self.addStep(.authenticate) {
                $0.append("AUTH")
                if let user = url.user { $0.append(text: user) }
                $0.append(text: password.text)
            }
        }
        if url.database != 0, !role.isSentinel {
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
        if settings.suppressesReplies, role == .standalone || role == .master {
            self.addStep(.checkReplySuppression) {
                $0.append("CLIENT")
                $0.append("REPLY")
                $0.append("ON")
            }
        }
        if role == .master { self.addStep(.checkRole) { $0.append("ROLE") } }
        for script in scripts { self.addStep(.loadScript) { $0.append(loading: script) } }
        // Last, because its reply shows whether the server accepts commands at all.
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

    /// Checks the reply to the next step. Throws if the connection cannot be used.
    mutating func receive(_ reply: RedisReply) throws(RedisOutage) {
        let step = self.steps[self.answeredCount]
        self.answeredCount += 1
        guard reply.kind == .error else {
            if step == .checkRole, reply[0]?.isText("master") != true { throw .notMaster }
            if step == .checkReplySuppression { self.canSuppressReplies = true }
            return
        }
        switch (step, RedisError(reply: reply.bytes)) {
        // Both are optional: the name is for CLIENT LIST, suppression saves work, and the user may
        // lack the permission.
        case (.setName, _), (.checkReplySuppression, _): break
        // A user that may not PING, or a server that cannot write, may still be usable; later
        // commands report their own errors.
        case (.ping, .notPermitted), (.ping, .snapshotFailed): break
        case (.select, .other(let text)): throw .noDatabase(self.database, .other(text))
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
