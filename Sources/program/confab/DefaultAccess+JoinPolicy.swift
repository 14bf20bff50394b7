import ChatModel
import Configuration

extension DefaultAccess {
    var joinPolicy: ConversationRecord.JoinPolicy { self == .open ? .open : .closed }
}
