import Bytes
import ChatModel
import JSON

/// What the protocol keeps of a conversation beyond what the core does: whose it is about, and who answers.
///
/// Kept as the fields that frames have of it, so that nothing is read again.
enum PetsDetails {
    static func fields(pet: String, providers: [String]) -> ByteString {
        var buffer = ByteBuffer()
        buffer.append(#""pet_id":"#)
        buffer.append(jsonString: pet)
        buffer.append(#","providers":["#)
        for (place, provider) in providers.enumerated() {
            if place > 0 { buffer.append(",") }
            buffer.append(jsonString: provider)
        }
        buffer.append("]")
        return ByteString(buffer.text)
    }

    /// Conversations of other protocols are about no pet.
    static func fields(of record: ConversationRecord) -> ByteString {
        record.kind == .pets && record.dialectData.byteCount > 0
            ? record.dialectData : #""pet_id":null,"providers":[]"#
    }
}
