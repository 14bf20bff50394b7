public import Bytes
public import ChatModel

extension ByteBuffer {
    /// Appends `,"is_edited":…,"is_deleted":…` for a changed message, and nothing for an unchanged
    /// one, because the seeds' frames have no such fields.
    public mutating func append(flagsOf state: Message.State) {
        switch state {
        case .asSent: break
        case .edited: self.append(#","is_edited":true,"is_deleted":false"#)
        case .deleted: self.append(#","is_edited":false,"is_deleted":true"#)
        }
    }
}
