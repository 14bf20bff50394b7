import Bytes
public import ChatModel
public import DialectKit
import Identity

/// The Agents protocol (seed `004`): messages with acknowledgements, in a channel and from agent to
/// agent, at `/v1/ws`.
public struct AgentsDialect: Dialect {
    public let name: StaticString = "agents"
    public let upgradePaths: [PathPattern] = [
        "/v1/ws", "/v1/ws/tenant/{tenant}/agent/{agent}/channel/{channel}",
    ]

    public init() {}

    /// Rejects an unauthorized client before the upgrade, with an HTTP status.
    public func open(_ request: DialectRequest) -> OpenResult? {
        guard let path = Self.parsePath(request.path) else { return nil }
        let identity: Identity
        switch request.credentials {
        case .none: return .refused(status: 401, "A token is required.")
        case .invalid(let sentence): return .refused(status: 401, sentence)
        case .bearer(let bearer): identity = bearer
        }
        var channel = request.queryValue("channel_id")
        if let path {
            guard path.tenant == identity.tenant.string else {
                return .refused(status: 403, "tenant: is not the token's")
            }
            guard path.agent == identity.agent.string else {
                return .refused(status: 403, "agent: is not the token's")
            }
            guard channel == nil || channel == path.channel else {
                return .refused(status: 403, "channel_id: is not the path's")
            }
            channel = path.channel
        }
        guard let channel else {
            return .session(AgentsSession(identity: identity, channel: nil, from: nil))
        }
        guard IdentityRule.conversation.allows(channel) else {
            return .refused(status: 400, "channel_id: must be \(IdentityRule.conversation.text)")
        }
        let resumePoint = ResumePoint(
            after: request.queryValue("after"), rev: request.queryValue("rev"))
        let session = AgentsSession(
            identity: identity, channel: ByteString(channel), from: resumePoint)
        guard let principal = session.principal, let home = session.homeConversation,
            !session.isListedInToken || identity.guest != nil
        else { return .session(session) }
        // A guest token is a part of the link.
        let mayUseLink = path == nil || session.isListedInToken
        return .awaitingAnswer(
            .describe(
                by: principal, readAccess: mayUseLink ? .anyoneIfOpen : .membersOnly,
                members: .none),
            in: home
        ) { answer in
            switch answer {
            case .described: .session(session)
            case .failed(.unavailable):
                .refused(status: 503, "The channel cannot be looked up at the moment; try again.")
            case .failed(.banned(let notice)): .refused(status: 403, notice)
            case .failed(.damaged): .refused(status: 500, "channel_id: \(ChatError.damaged)")
            default: .refused(status: 403, "channel_id: the token does not grant this channel")
            }
        }
    }

    private struct ChannelPath {
        let tenant: String
        let agent: String
        let channel: String
    }

    /// Nil if the path does not belong to the dialect; `.some(nil)` for the path without a channel.
    private static func parsePath(_ path: [String]) -> ChannelPath?? {
        if path == ["v1", "ws"] { return .some(nil) }
        guard path.count == 8, path[0] == "v1", path[1] == "ws", path[2] == "tenant",
            path[4] == "agent", path[6] == "channel"
        else {
            return nil
        }
        return ChannelPath(tenant: path[3], agent: path[5], channel: path[7])
    }

    public func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering
    ) {
        guard !conversation.isInbox else { return }
        switch event {
        case .posted(let message):
            rendering.text.append(message: message, in: conversation)
            rendering.finishFrame(for: .otherConnections)
        case .edited(let message), .deleted(let message):
            rendering.text.append(
                message: message,
                as: message.state == .deleted ? "message.deleted" : "message.edited",
                in: conversation)
            rendering.finishFrame()
        case .presence(let changes):
            for change in changes {
                rendering.text.append(status: change)
                rendering.finishFrame(for: .others(change.person.id))
            }
        case .crowd(let online, let changes):
            rendering.text.append(presenceSummary: online, changes, in: conversation.id)
            rendering.finishFrame()
        case .created, .reacted, .pinned, .unpinned, .joined, .renamed, .left, .ended, .updated,
            .typing, .read, .status:
            break  // The protocol has no frames for these.
        }
    }
}

extension ConversationTemplate {
    /// Only users that a token or a member admits may join.
    public static let agents = ConversationTemplate(origin: "agents")
}
