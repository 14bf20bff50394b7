import ChatModel
import RedisClient

extension RedisReply {
    /// Of an answer to ROLE: how many replicas the master has; nil for a server that is none.
    var replicaCount: Int? {
        self[0]?.isText("master") == true ? self[2]?.count : nil
    }
}

extension StoreOperation {
    /// What the write script says: 0, or for each refused write its place, why, and a number.
    ///
    /// - Parameter places: in the batch, of the writes that the script had; nil where it had all of them.
    mutating func recordRefusals(_ reply: RedisReply, at places: [Int]?) {
        var parts = reply.elements
        while let place = parts.next()?.integer, let why = parts.next(),
            let number = parts.next()?.integer
        {
            let refusal: WriteRefusal =
                if why.isText("fenced") {
                    .fenced(Int(number))
                } else if why.isText("step") {
                    .revisionMismatch(stored: Int(number))
                } else {
                    .damaged
                }
            self.refusals[places.map { $0[Int(place)] } ?? Int(place)] = refusal
        }
    }

    /// What the scripts about numbers say: one, or as many as there are users.
    mutating func recordNumbers(_ reply: RedisReply) {
        do throws(DamagedValue) {
            if let number = reply.integer {
                self.numbers = [Int(number)]
            } else {
                self.numbers = try ReplyDecoder.numbers(reply)
            }
        } catch {
            self.failure = StoreFailure(error, about: self.request.subject)
        }
    }
}

extension StoreFailure {
    /// - Parameter subject: what was asked about, where it is one thing.
    init(_ error: RedisError, about subject: String?) {
        switch (error, subject) {
        case (.other(let words), let subject?) where words.hasPrefix("DAMAGED "):
            self.init(
                "\(subject): the Redis key \(words.dropFirst(8))", isRequestSpecific: true,
                effect: .rejected)
        case (.wrongType, let subject?):
            self.init("\(subject): \(error)", isRequestSpecific: true)
        default:
            self.init(error.description, effect: error.effect)
        }
    }

    init(_ error: RedisError) {
        self.init(error, about: nil)
    }

    init(_ damage: DamagedValue, about subject: String?) {
        self.init("\(subject ?? ""): \(damage.reason)", isRequestSpecific: true)
    }
}

extension RedisError {
    /// What became of a script that was answered with this: each checks all that it needs before it writes.
    fileprivate var effect: StoreFailure.Effect {
        switch self {
        case .connectionLost(let mayBeDone): mayBeDone ? .unknown : .none
        case .readOnly, .outOfMemory, .snapshotFailed, .notAuthenticated, .wrongPassword,
            .notPermitted, .noReplicas:
            .rejected
        case .noConnection, .queueFull, .closed, .loading, .clusterDown, .masterDown, .tryAgain,
            .moved, .ask, .scriptLost, .busy,
            .crossSlot, .noGoodReplica, .unkillable:
            .none
        // A command of a script may have failed behind others.
        case .wrongType, .other: .unknown
        }
    }
}

extension StoreRequest {
    /// What it is about, where that is one conversation, user, tenant or shard.
    var subject: String? {
        switch self {
        case .load(let key), .recent(let key, _), .page(let key, _, _), .changes(let key, _, _, _),
            .amended(let key, _, _, _),
            .unread(let key, _, _):
            key.description
        case .memberships(let user, let tenant, _, _, _): "the conversations of \(tenant)/\(user)"
        case .catalog(let tenant, _, _): "the catalog of \(tenant)"
        case .numbers(_, let tenant), .users(_, let tenant), .nextNumber(let tenant):
            "the numbers of \(tenant)"
        case .claim(let shard, _, _): "shard \(shard)"
        case .write, .probe: nil
        }
    }
}

extension RedisCommandWriter {
    /// A number as Lua can hold it: beyond 2^53 its numbers have gaps, and nothing of ours is there.
    mutating func append(clamped number: Int) {
        self.append(max(-(1 << 52), min(number, 1 << 52)))
    }

    /// The range of a page, its limit, and the revision since which amended messages are wanted as well (-1: none are).
    mutating func append(_ range: PageRange, limit: Int, since: Int) {
        switch range {
        case .newest:
            self.append("newest")
            self.append(0)
        case .before(let number):
            self.append("before")
            self.append(clamped: number)
        case .after(let number):
            self.append("after")
            self.append(clamped: number)
        }
        self.append(clamped: limit)
        self.append(clamped: since)
    }
}
