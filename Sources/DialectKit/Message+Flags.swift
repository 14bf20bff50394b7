public import Bytes
public import ChatModel

extension ByteBuffer {
    /// `,"is_edited":…,"is_deleted":…` of a message that was changed; nothing of one that stands as it was sent, which has its seed's fields
    /// and no others.
    public mutating func append(flagsOf state: Message.State) {
        switch state {
        case .asSent: break
        case .edited: self.append(#","is_edited":true,"is_deleted":false"#)
        case .deleted: self.append(#","is_edited":false,"is_deleted":true"#)
        }
    }
}
