import Bytes
import ChatModel

extension ConversationKey {
    static func numbered(_ number: Int) -> ConversationKey {
        ConversationKey(tenant: "default", id: ByteString("talk-\(number)"))
    }
}
