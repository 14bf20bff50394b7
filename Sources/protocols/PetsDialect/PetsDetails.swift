import Bytes
import ChatModel
import JSON

/// The protocol's additional data of a conversation: the pet and its providers.
///
/// It is stored as the JSON fields of the frames, so that it is never parsed.
enum PetsDetails {
    static func fields(pet: String, providers: [String]) -> ByteString {
        var buffer = ByteBuffer()
        buffer.append(#""pet_id":"#)
        buffer.append(jsonString: pet)
        buffer.append(#","providers":["#)
        for (index, provider) in providers.enumerated() {
            if index > 0 { buffer.append(",") }
            buffer.append(jsonString: provider)
        }
        buffer.append("]")
        return ByteString(buffer.text)
    }

    /// Conversations of other protocols have no pet.
    static func fields(of record: ConversationRecord) -> ByteString {
        record.origin == ConversationTemplate.pets.origin && record.dialectData.byteCount > 0
            ? record.dialectData : #""pet_id":null,"providers":[]"#
    }
}
