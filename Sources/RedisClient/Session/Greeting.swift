internal import Bytes

/// What a new connection says before any command, all of it at once, and what each answer means.
struct Greeting {
    enum Step: Equatable {
        case authenticate, select, setName, askRole, askMuting, loadScript, ping
    }

    private(set) var steps: [Step] = []
    private(set) var output = Outgoing()
    private var answered = 0
    private let database: Int
    /// The server can be told to answer a command with nothing.
    private(set) var mayMute = false

    init(_ settings: RedisSettings, scripts: [RedisScript], to counterpart: RedisSession.Counterpart) {
        let url = settings.url
        self.database = url.database
        if let password = url.password, counterpart != .sentinel(knowsPassword: false) {
            self.say(.authenticate) {
                $0.append("AUTH")
                if let user = url.user { $0.append(text: user) }
                $0.append(text: password.text)
            }
        }
        if url.database != 0, !counterpart.isSentinel {
            self.say(.select) {
                $0.append("SELECT")
                $0.append(url.database)
            }
        }
        if let name = settings.name {
            self.say(.setName) {
                $0.append("CLIENT")
                $0.append("SETNAME")
                $0.append(text: name)
            }
        }
        if settings.asksForSilence, counterpart == .server || counterpart == .master {
            self.say(.askMuting) {
                $0.append("CLIENT")
                $0.append("REPLY")
                $0.append("ON")
            }
        }
        if counterpart == .master { self.say(.askRole) { $0.append("ROLE") } }
        for script in scripts { self.say(.loadScript) { $0.append(loading: script) } }
        // Last, because its answer says whether the server takes commands at all.
        self.say(.ping) { $0.append("PING") }
    }

    private mutating func say(_ step: Step, _ write: (inout RedisCommandWriter) -> Void) {
        self.steps.append(step)
        _ = self.output.write(byteLimit: .max, write)
    }

    var isAnswered: Bool { self.answered == self.steps.count }

    mutating func didSend(_ count: Int) {
        self.output.didSend(count)
    }

    /// Takes the answer to the next step. Throws what makes the connection useless.
    mutating func hear(_ reply: RedisReply) throws(RedisOutage) {
        let step = self.steps[self.answered]
        self.answered += 1
        guard reply.kind == .error else {
            if step == .askRole, reply[0]?.isText("master") != true { throw .notMaster }
            if step == .askMuting { self.mayMute = true }
            return
        }
        switch (step, RedisError(reply: reply.bytes)) {
        // The one is for CLIENT LIST, the other saves work, and not everybody may.
        case (.setName, _), (.askMuting, _): break
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
