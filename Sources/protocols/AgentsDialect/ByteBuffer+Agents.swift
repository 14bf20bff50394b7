import Bytes
import ChatModel
import DialectKit
import JSON

extension Person {
    /// The id in this protocol: the agent, if one acts for the user.
    var agentDisplayID: ByteString { self.agent ?? self.id.displayID }
}

/// The server's frames, byte for byte as in seed `004`.
extension ByteBuffer {
    /// Appends a channel message for all connections except its sender's.
    ///
    /// - Parameter type: the type of the frame.
    mutating func append(
        message: Message, as type: StaticString = "message", in channel: ConversationKey
    ) {
        self.append(headOf: message, as: type)
        self.append(#","tenant_id":"#)
        self.append(jsonString: channel.tenant)
        self.append(#","agent_id":"#)
        self.append(jsonString: message.body.author.agentDisplayID)
        self.append(guestFlagOf: message.body.author.id)
        self.append(#","channel_id":"#)
        self.append(jsonString: channel.id)
        self.append(tailOf: message)
        self.append(#","seq":"#)
        self.append(decimal: message.sequence)
        self.append(#","rev":"#)
        self.append(decimal: message.revision)
        self.append(flagsOf: message.state)
        self.append(referencesOf: message, as: .integer)
        self.append("}")
    }

    /// Appends a message from agent to agent.
    mutating func append(
        directMessage message: Message, to agent: ByteString, in tenant: ByteString
    ) {
        self.append(headOf: message)
        self.append(#","to":"#)
        self.append(jsonString: agent)
        self.append(#","tenant_id":"#)
        self.append(jsonString: tenant)
        self.append(#","agent_id":"#)
        self.append(jsonString: message.body.author.agentDisplayID)
        self.append(guestFlagOf: message.body.author.id)
        self.append(tailOf: message)
        self.append("}")
    }

    private mutating func append(headOf message: Message, as type: StaticString = "message") {
        self.append(#"{"id":"#)
        self.append(idOf: message)
        self.append(#","type":""#)
        self.append(type)
        self.append(#"","content":"#)
        self.append(jsonString: message.body.content)
    }

    private mutating func append(tailOf message: Message) {
        self.append(#","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(#"""#)
        if let metadata = message.body.metadata {
            self.append(#","metadata":"#)
            self.append(contentsOf: metadata.span.bytes)
        }
    }

    /// Appends the sender's own id, or the message's number if there is none.
    private mutating func append(idOf message: Message) {
        if let id = message.body.clientMessageID?.displayID { return self.append(jsonString: id) }
        self.append(#"""#)
        self.append(decimal: message.sequence)
        self.append(#"""#)
    }

    /// - Parameter hasNumber: whether the message has a number to resume from, as channel messages
    ///   do.
    mutating func append(acknowledged message: Message, hasNumber: Bool) {
        self.append(#"{"type":"ACK","message_id":"#)
        self.append(idOf: message)
        if hasNumber {
            self.append(#","seq":"#)
            self.append(decimal: message.sequence)
            self.append(#","rev":"#)
            self.append(decimal: message.revision)
        }
        self.append(#","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(#""}"#)
    }

    /// - Parameters:
    ///   - id: the id of the message that the error concerns.
    ///   - outcome: whether the message may have been stored, if the error concerns a send.
    ///   - fields: writes further fields, each with a leading comma.
    mutating func append(
        error sentence: String, id: ByteString? = nil, outcome: SendOutcome? = nil,
        at now: Timestamp,
        _ fields: (inout ByteBuffer) -> Void = { _ in }
    ) {
        self.append(#"{"type":"ERROR","error":"#)
        self.append(jsonString: sentence)
        if let id {
            self.append(#","message_id":"#)
            self.append(jsonString: id)
        }
        if let outcome { self.append(outcome: outcome) }
        fields(&self)
        self.append(#","timestamp":""#)
        self.append(timestamp: now)
        self.append(#""}"#)
    }

    // MARK: Presence

    mutating func append(status change: PresenceChange) {
        self.append(#"{"type":"status","agent_id":"#)
        self.appendAgentState(of: change)
    }

    /// The agent, its state and the time, up to the end of the object.
    private mutating func appendAgentState(of change: PresenceChange) {
        self.append(jsonString: change.person.agentDisplayID)
        self.append(guestFlagOf: change.person.id)
        self.append(
            change.isOnline
                ? #","status":"online","timestamp":""# : #","status":"offline","timestamp":""#)
        self.append(timestamp: change.at)
        self.append(#""}"#)
    }

    mutating func append(
        presenceSummary online: Int, _ changes: [PresenceChange], in channel: ByteString
    ) {
        self.append(#"{"type":"presence","channel_id":"#)
        self.append(jsonString: channel)
        self.append(#","online":"#)
        self.append(decimal: online)
        self.append(#","changes":["#)
        for (index, change) in changes.enumerated() {
            self.append(index > 0 ? #",{"user_id":"# : #"{"user_id":"#)
            self.append(jsonString: change.person.id.displayID)
            self.append(#","agent_id":"#)
            self.appendAgentState(of: change)
        }
        self.append("]}")
    }

    /// - Parameter bytes: the most bytes of the agents.
    mutating func append(
        statusListOf description: ConversationDetails, in channel: ByteString, at now: Timestamp,
        within bytes: Int
    ) {
        self.append(#"{"type":"status_list","channel_id":"#)
        self.append(jsonString: channel)
        self.append(#","agents":"#)
        let count = self.append(array: description.members, within: bytes) { text, member in
            text.append(#"{"agent_id":"#)
            text.append(jsonString: member.agent ?? member.user.displayID)
            text.append(guestFlagOf: member.user)
            text.append(
                description.online.contains(member.user)
                    ? #","status":"online""# : #","status":"offline""#)
            text.append(#","timestamp":""#)
            text.append(timestamp: now)
            text.append(#""}"#)
        }
        if count < description.participantCount {
            self.append(#","participant_count":"#)
            self.append(decimal: description.participantCount)
        }
        self.append(#","timestamp":""#)
        self.append(timestamp: now)
        self.append(#""}"#)
    }
}
