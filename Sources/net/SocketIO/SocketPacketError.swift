public import JSON

/// Why bytes are not a packet. Each of these errors breaks the protocol and closes the connection.
public enum SocketPacketError: Error, Sendable, Hashable, CustomStringConvertible {
    case empty
    case unknownType(UInt8)
    case badAttachmentCount(limit: Int)
    case controlCharacterInNamespace
    case namespaceTooLong(limit: Int)
    case badAckID
    case missingAckID
    case unexpectedAckID
    case missingPayload
    case unexpectedPayload
    case badJSON(JSONError)
    case payloadIsNoObject
    case payloadIsNoArray
    /// The first element of an event must be its name: a string or a number.
    case missingEventName
    /// A name that libraries use for events of the connection itself.
    case reservedEventName(String)
    /// A placeholder for an attachment that does not exist, or a second one for the same.
    case badPlaceholder
    /// A binary frame that no packet has announced.
    case unannouncedAttachment
    /// A packet arrived instead of an announced attachment.
    case missingAttachment

    public var description: String {
        switch self {
        case .empty: "a packet is empty; its first letter must be its type"
        case .unknownType(let byte):
            "a packet's type must be a digit from 0 to 6, and is the byte \(byte)"
        case .badAttachmentCount(let limit):
            "a binary packet's number of attachments must be from 0 to \(limit), "
                + "and a hyphen must follow"
        case .controlCharacterInNamespace: "a namespace must not have control characters"
        case .namespaceTooLong(let limit): "a namespace has more than \(limit) bytes"
        case .badAckID: "an ack id must be a whole number from 0 to \(SocketPacket.ackIDLimit)"
        case .missingAckID: "an ack packet must have the id that it answers"
        case .unexpectedAckID: "a packet of this type has no ack id"
        case .missingPayload: "a packet of this type must have a payload"
        case .unexpectedPayload: "a packet of this type has no payload"
        case .badJSON(let error): "the payload: \(error)"
        case .payloadIsNoObject: "the payload must be a JSON object"
        case .payloadIsNoArray: "the payload must be a JSON array"
        case .missingEventName: "an event's first element must be its name"
        case .reservedEventName(let name): "an event must not be named \(name)"
        case .badPlaceholder:
            "a placeholder's num must be the number of an attachment, each of them once"
        case .unannouncedAttachment: "a binary frame came that no packet has announced"
        case .missingAttachment: "a binary frame was announced and did not come"
        }
    }
}
