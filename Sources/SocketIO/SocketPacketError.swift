public import JSON

/// Why bytes are no packet: what breaks the protocol, and ends the connection.
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
    /// An event's first element must be its name: a string, or a number.
    case missingEventName
    /// A name that libraries use for what happens to the connection itself.
    case reservedEventName(String)
    /// A placeholder of an attachment that there is not, or two of the same.
    case badPlaceholder
    /// A binary frame that no packet has announced.
    case unannouncedAttachment
    /// A packet came where an attachment was announced.
    case missingAttachment

    public var description: String {
        switch self {
        case .empty: "a packet is empty; its first letter must be its type"
        case .unknownType(let letter):
            "a packet's type must be a digit from 0 to 6, and is the byte \(letter)"
        case .badAttachmentCount(let limit):
            "a binary packet's number of attachments must be from 0 to \(limit), and a hyphen must follow"
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
