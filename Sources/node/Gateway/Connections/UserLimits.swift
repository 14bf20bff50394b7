import ChatModel
import Configuration

/// The limits of one user. A small value, because most messages are checked against it.
struct UserLimits {
    var messagesPerSecond: Int
    var messageBurst: Int
    /// The bytes of a message that counts as one.
    var messageBytes: Int
    var storedBytesPerDay: Int
}

extension Limits {
    /// Those that are checked for each message and request of a user.
    var ofUser: UserLimits {
        UserLimits(
            messagesPerSecond: self.messagesPerSecond, messageBurst: self.messageBurst,
            messageBytes: self.messageBytes, storedBytesPerDay: self.storedBytesPerDay)
    }
}
