import ChatModel
import RedisClient

extension RedisReply {
    /// The number of replicas in a reply to ROLE; nil if the server is not a master.
    var replicaCount: Int? {
        self[0]?.isText("master") == true ? self[2]?.count : nil
    }
}

extension StoreOperation {
    /// Records the reply of the write script: 0, or for each refused write its position, the reason
    /// and a number.
    ///
    /// - Parameter positions: in the batch, of the script's writes; nil if it had all of them.
    mutating func recordRefusals(_ reply: RedisReply, at positions: [Int]?) {
        var parts = reply.elements
        while let position = parts.next()?.integer, let reason = parts.next(),
            let number = parts.next()?.integer
        {
            let refusal: WriteRefusal =
                if reason.isText("fenced") {
                    .fenced(Int(number))
                } else if reason.isText("step") {
                    .revisionMismatch(stored: Int(number))
                } else {
                    .damaged
                }
            self.refusals[positions.map { $0[Int(position)] } ?? Int(position)] = refusal
        }
    }

    /// Records the reply of a number script: one number, or one for each user.
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
    /// - Parameter subject: the subject of the request, if it has one.
    init(_ error: RedisError, about subject: String?) {
        switch (error, subject) {
        case (.other(let text), let subject?) where text.hasPrefix("DAMAGED "):
            self.init(
                "\(subject): the Redis key \(text.dropFirst(8))", isRequestSpecific: true,
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

    /// The failure of a request that is not sent, because the server is unavailable. With
    /// sentinels, a server's rejection ends with the failover.
    init(_ outage: RedisOutage, hasSentinels: Bool) {
        var effect = Effect.none
        if case .refused(let error) = outage, !hasSentinels, error.effect == .rejected {
            effect = .rejected
        }
        self.init(outage.description, effect: effect)
    }

    init(_ damage: DamagedValue, about subject: String?) {
        self.init("\(subject ?? ""): \(damage.reason)", isRequestSpecific: true)
    }
}

extension RedisError {
    /// The effect of a script that failed with this error. Each script makes all its checks before
    /// it writes.
    fileprivate var effect: StoreFailure.Effect {
        switch self {
        case .connectionLost(let mayBeExecuted): mayBeExecuted ? .unknown : .none
        case .readOnly, .outOfMemory, .snapshotFailed, .notAuthenticated, .wrongPassword,
            .notPermitted, .noReplicas:
            .rejected
        case .noConnection, .queueFull, .closed, .loading, .clusterDown, .masterDown, .tryAgain,
            .moved, .ask, .scriptLost, .busy,
            .crossSlot, .noGoodReplica, .unkillable:
            .none
        // A later command of the script may have failed.
        case .wrongType, .other: .unknown
        }
    }
}

extension StoreRequest {
    /// The conversation, user, tenant or shard that the request concerns.
    var subject: String? {
        switch self {
        case .examine(let key), .repair(let key, _, _), .load(let key), .recent(let key, _),
            .page(let key, _, _), .thread(let key, _, _, _), .search(let key, _, _, _, _),
            .changes(let key, _, _, _),
            .amended(let key, _, _, _),
            .unread(let key, _, _):
            key.description
        case .memberships(let user, let tenant, _, _, _): "the conversations of \(tenant)/\(user)"
        case .catalog(let tenant, _, _): "the catalog of \(tenant)"
        case .numbers(_, let tenant), .users(_, let tenant), .nextNumber(let tenant):
            "the numbers of \(tenant)"
        case .bans: "the bans"
        case .ban(let ban): "the ban of \(ban.subject.tenant)/\(ban.subject.user)"
        case .unban(let subject): "the ban of \(subject.tenant)/\(subject.user)"
        case .claim(let shard, _, _): "shard \(shard)"
        case .outbox: "the outbox"
        case .write, .conversations, .probe: nil
        }
    }
}

extension RedisCommandWriter {
    /// A number that Lua can represent: its numbers have gaps beyond 2^53, and the store uses none
    /// of those.
    mutating func append(clamped number: Int) {
        self.append(max(-(1 << 52), min(number, 1 << 52)))
    }

    /// Appends a page's range and its limits.
    mutating func append(_ range: PageRange, limit: PageLimit) {
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
        self.append(limit)
    }

    /// Appends the number of messages and that of bytes.
    mutating func append(_ limit: PageLimit) {
        self.append(clamped: max(0, limit.messages))
        self.append(clamped: limit.bytes)
    }
}
