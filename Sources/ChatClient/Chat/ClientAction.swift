internal import Bytes
internal import JSON

/// What a client of the Conversations protocol says, as the text of its frames.
enum ClientAction {
    static let heartbeatAcknowledgement = #"{"action":"heartbeat_ack"}"#

    static func send(_ content: String, localID: String) -> String {
        var buffer = ByteBuffer()
        buffer.append(#"{"action":"send_message","content":"#)
        buffer.append(jsonString: content)
        buffer.append(#","local_id":"#)
        buffer.append(jsonString: localID)
        buffer.append("}")
        return buffer.text
    }

    static func fetch(limit: Int) -> String { #"{"action":"fetch_messages","limit":\#(limit)}"# }
    static func typing(_ isTyping: Bool) -> String { #"{"action":"typing","is_typing":\#(isTyping)}"# }
    static func read(_ id: Int) -> String { #"{"action":"read","message_ids":["\#(id)"]}"# }
    static func delete(_ id: Int) -> String { #"{"action":"delete_message","message_id":"\#(id)"}"# }

    static func edit(_ id: Int, _ content: String) -> String {
        var buffer = ByteBuffer()
        buffer.append(#"{"action":"edit_message","message_id":""#)
        buffer.append(decimal: id)
        buffer.append(#"","content":"#)
        buffer.append(jsonString: content)
        buffer.append("}")
        return buffer.text
    }
}
