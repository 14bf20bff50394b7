internal import Bytes
internal import ChatModel

extension ChatError: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .noSuchConversation: output.append(1)
        case .notAMember: output.append(2)
        case .accessDenied: output.append(3)
        case .conversationEnded: output.append(4)
        case .noSuchMessage(let sequence):
            output.append(5)
            output.append(signed: sequence)
        case .messageDeleted(let sequence):
            output.append(6)
            output.append(signed: sequence)
        case .notAllowed(let who):
            output.append(7)
            output.append(string: who)
        case .contentEmpty: output.append(8)
        case .contentTooLong(let limit):
            output.append(9)
            output.append(count: limit)
        case .metadataTooLong(let limit):
            output.append(10)
            output.append(count: limit)
        case .clientMessageIDInvalid: output.append(11)
        case .tooManyMembers(let limit):
            output.append(12)
            output.append(count: limit)
        // The user's own node limits what it stores, so no packet has that error.
        case .rateLimited(let seconds), .storageLimited(let seconds):
            output.append(13)
            output.append(number: seconds.bitPattern)
        case .unavailable: output.append(14)
        case .conversationExists: output.append(15)
        case .damaged: output.append(16)
        case .rejected: output.append(17)
        case .outcomeUnknown: output.append(18)
        case .idTaken: output.append(19)
        case .noSuchMember: output.append(20)
        case .banned(let notice):
            output.append(21)
            output.append(string: notice)
        case .noSuchReplyTarget(let sequence):
            output.append(22)
            output.append(signed: sequence)
        case .tooManyEmoji(let limit):
            output.append(23)
            output.append(count: limit)
        case .tooManyReactions(let limit):
            output.append(24)
            output.append(count: limit)
        case .mentionOfAllNotAllowed(let limit):
            output.append(25)
            output.append(count: limit)
        case .tooManyPins(let limit):
            output.append(26)
            output.append(count: limit)
        case .notPinned(let sequence):
            output.append(27)
            output.append(signed: sequence)
        case .wasRemoved: output.append(28)
        case .closedIsUnlisted: output.append(29)
        case .noDescription: output.append(30)
        }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        switch try input.byte() {
        case 1: return .noSuchConversation
        case 2: return .notAMember
        case 3: return .accessDenied
        case 4: return .conversationEnded
        case 5: return .noSuchMessage(try input.signed())
        case 6: return .messageDeleted(try input.signed())
        case 7: return .notAllowed(try input.string())
        case 8: return .contentEmpty
        case 9: return .contentTooLong(limit: try input.count())
        case 10: return .metadataTooLong(limit: try input.count())
        case 11: return .clientMessageIDInvalid
        case 12: return .tooManyMembers(limit: try input.count())
        case 13:
            let seconds = Double(bitPattern: try input.number())
            guard seconds >= 0, seconds <= Double(WireReader.countLimit) else {
                throw .malformed(.number)
            }
            return .rateLimited(retryAfterSeconds: seconds)
        case 14: return .unavailable
        case 15: return .conversationExists
        case 16: return .damaged
        case 17: return .rejected
        case 18: return .outcomeUnknown
        case 19: return .idTaken
        case 20: return .noSuchMember
        case 21: return .banned(try input.string())
        case 22: return .noSuchReplyTarget(try input.signed())
        case 23: return .tooManyEmoji(limit: try input.count())
        case 24: return .tooManyReactions(limit: try input.count())
        case 25: return .mentionOfAllNotAllowed(limit: try input.count())
        case 26: return .tooManyPins(limit: try input.count())
        case 27: return .notPinned(try input.signed())
        case 28: return .wasRemoved
        case 29: return .closedIsUnlisted
        case 30: return .noDescription
        default: throw .unknownKind
        }
    }
}
