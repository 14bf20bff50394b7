/// The frames, and the steps that they cause.
extension ConversationsInputTests.Case {
    private static func error(_ action: String, _ errorText: String) -> String {
        #"{"type":"error","action":\#(action),"error":"\#(errorText)"}"#
    }
    private static func failed(_ id: String, _ errorText: String) -> String {
        #"""
        {"type":"message.failed","local_id":\#(id),"error":"\#(errorText)",\#
        "outcome":"refused"}
        """#
    }
    private static let long = String(repeating: "x", count: 129)
    private static let badLocalID =
        "local_id: must have 1 to 128 bytes and no control characters"
    private static let manyIDs = (0..<23).map { "x\($0)" }

    static let sending = [
        Self(
            #"{"action":"send_message","content":"Good morning"}"#,
            #"post "Good morning" id - by ann in tenant/room-1"#),
        Self(
            #"""
            {"action":"send_message","conversation_id":"room-1","content":"x",\#
            "local_id":"n-1"}
            """#,
            #"post "x" id "n-1" by ann in tenant/room-1"#),
        Self(
            #"{"content":"order is free","action":"send_message"}"#,
            #"post "order is free" id - by ann in tenant/room-1"#),
        Self(
            #" { "action" : "send_message" , "content" : "x" , "more" : [ { } ] , "#
                + #""local_id" : null , "conversation_id" : null } "#,
            #"post "x" id - by ann in tenant/room-1"#),
        Self(
            #"{"action":"send_message","content":"x","content":"the last one counts"}"#,
            #"post "the last one counts" id - by ann in tenant/room-1"#),
        Self(
            #"{"\u0061ction":"send\u005fmessage","content":"\u0078"}"#,
            #"post "x" id - by ann in tenant/room-1"#),
        Self(
            #"{"action":"send_message","content":"日本語 \ud83d\ude00 é\u0301"}"#,
            "post \"日本語 😀 é\u{301}\" id - by ann in tenant/room-1"),
        Self(
            #"{"action":"send_message","content":"\u0000\t\"\\\/"}"#,
            #"post "\0\t\"\\/" id - by ann in tenant/room-1"#),
        Self(
            #"{"action":"send_message","content":"\u200b"}"#,
            "post \"\u{200B}\" id - by ann in tenant/room-1"),
        Self(
            #"{"action":"send_message","content":"123456789012345678901234"}"#,
            #"post "123456789012345678901234" id - by ann in tenant/room-1"#),
        Self(
            #"""
            {"action":"send_message","content":"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00\#
            e9\u00e9\u00e9\u00e9\u00e9"}
            """#,
            #"post "éééééééééééé" id - by ann in tenant/room-1"#),
        Self(
            #"{"action":"send_message","content":"x","local_id":"\#(long.dropLast())"}"#,
            #"post "x" id "\#(long.dropLast())" by ann in tenant/room-1"#),
        Self(
            #"{"action":"send_message","content":"x","local_id":"é ü"}"#,
            #"post "x" id "é ü" by ann in tenant/room-1"#),
        Self(
            "{\"action\":\"send_message\",\"content\":\"\u{FEFF}x\u{7F}\"}",
            "post \"\u{FEFF}x\\u{7F}\" id - by ann in tenant/room-1"),
        Self(#"{"action":"send_message"}"#, failed("null", "content: is missing")),
        Self(
            #"{"action":"send_message","content":null,"local_id":"a"}"#,
            failed(#""a""#, "content: is missing")),
        Self(
            #"{"action":"send_message","content":5,"local_id":"a"}"#,
            failed(#""a""#, "content: must be a string")),
        Self(
            #"{"action":"send_message","content":["x"]}"#,
            failed("null", "content: must be a string")),
        Self(
            #"{"action":"send_message","content":"","local_id":"a"}"#,
            failed(#""a""#, "content: must not be empty")),
        Self(
            #"{"action":"send_message","content":" \t\r\n"}"#,
            failed("null", "content: must not be empty")),
        Self(
            #"{"action":"send_message","content":"\u00a0\u2003\u3000\u0085\u2028"}"#,
            failed("null", "content: must not be empty")),
        Self(
            #"{"action":"send_message","content":"1234567890123456789012345"}"#,
            failed("null", "content: longer than 24 bytes")),
        Self(
            #"{"action":"send_message","content":"éééééééééééé!","local_id":"a"}"#,
            failed(#""a""#, "content: longer than 24 bytes")),
        Self(
            #"{"action":"send_message","content":"                         "}"#,
            failed("null", "content: longer than 24 bytes")),
        Self(
            #"{"action":"send_message","content":"x","local_id":7}"#,
            failed("null", "local_id: must be a string")),
        Self(
            #"{"action":"send_message","content":"x","local_id":""}"#,
            failed(#""""#, badLocalID)),
        Self(
            #"{"action":"send_message","content":"x","local_id":"\#(long)"}"#,
            failed("\"\(long)\"", badLocalID)),
        Self(
            #"{"action":"send_message","content":"x","local_id":"a\u0001"}"#,
            failed(#""a\u0001""#, badLocalID)),
        Self(
            #"{"action":"send_message","content":"x","local_id":"a\u007f"}"#,
            failed("\"a\u{7F}\"", badLocalID)),
        Self(
            #"""
            {"action":"send_message","content":"x","conversation_id":"room-2",\#
            "local_id":"a"}
            """#,
            failed(#""a""#, "conversation_id: is not this connection's conversation")),
        Self(
            #"{"action":"send_message","content":"x","conversation_id":1}"#,
            failed("null", "conversation_id: must be a string")),
    ]

    static let otherFrames = [
        Self(#"{"action":"typing","is_typing":true}"#, "typing true by ann in tenant/room-1"),
        Self(
            #"{"action":"typing","conversation_id":"room-1","is_typing":false}"#,
            "typing false by ann in tenant/room-1"),
        Self(#"{"action":"typing"}"#, error(#""typing""#, "is_typing: is missing")),
        Self(
            #"{"action":"typing","is_typing":"yes"}"#,
            error(#""typing""#, "is_typing: must be true or false")),
        Self(
            #"{"action":"typing","is_typing":1}"#,
            error(#""typing""#, "is_typing: must be true or false")),
        Self(
            #"{"action":"typing","is_typing":true,"conversation_id":"Room-1"}"#,
            error(#""typing""#, "conversation_id: is not this connection's conversation")),
        Self(
            #"{"action":"read","message_ids":["1","9223372036854775807"]}"#,
            "read [1, 9223372036854775807] by ann in tenant/room-1"),
        Self(
            #"{"action":"read","message_ids":["07","3","-1","x","9223372036854775808"]}"#,
            error(
                #""read""#, "message_ids: there is no message 07, -1, x, 9223372036854775808"),
            "read [3] by ann in tenant/room-1"),
        Self(
            #"{"action":"read","message_ids":["a"]}"#,
            error(#""read""#, "message_ids: there is no message a")),
        Self(
            #"{"action":"read","message_ids":["\#(manyIDs.joined(separator: #"",""#))"]}"#,
            error(
                #""read""#,
                "message_ids: there is no message "
                    + "\(manyIDs.prefix(20).joined(separator: ", ")) and 3 more")),
        Self(#"{"action":"read"}"#, error(#""read""#, "message_ids: is missing")),
        Self(
            #"{"action":"read","message_ids":[]}"#,
            error(#""read""#, "message_ids: must not be empty")),
        Self(
            #"{"action":"read","message_ids":"1"}"#,
            error(#""read""#, "message_ids: must be an array of strings")),
        Self(
            #"{"action":"read","message_ids":[1]}"#,
            error(#""read""#, "message_ids: must be an array of strings")),
        Self(#"{"action":"fetch_messages"}"#, "read newest limit 20 in tenant/room-1"),
        Self(#"{"action":"fetch_messages","limit":1}"#, "read newest limit 1 in tenant/room-1"),
        Self(
            #"{"action":"fetch_messages","limit":100,"before_id":"12"}"#,
            "read before(12) limit 100 in tenant/room-1"),
        Self(
            #"{"action":"fetch_messages","after_id":"0"}"#,
            "read after(0) limit 20 in tenant/room-1"),
        Self(
            #"{"action":"fetch_messages","limit":0}"#,
            error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
        Self(
            #"{"action":"fetch_messages","limit":101}"#,
            error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
        Self(
            #"{"action":"fetch_messages","limit":-1}"#,
            error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
        Self(
            #"{"action":"fetch_messages","limit":2.0}"#,
            error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
        Self(
            #"{"action":"fetch_messages","limit":"20"}"#,
            error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
        Self(
            #"{"action":"fetch_messages","limit":99999999999999999999}"#,
            error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
        Self(
            #"{"action":"fetch_messages","before_id":12}"#,
            error(#""fetch_messages""#, "before_id: must be a string")),
        Self(
            #"{"action":"fetch_messages","before_id":"012"}"#,
            error(#""fetch_messages""#, "before_id: must be a message id")),
        Self(
            #"{"action":"fetch_messages","after_id":""}"#,
            error(#""fetch_messages""#, "after_id: must be a message id")),
        Self(
            #"{"action":"fetch_messages","after_id":"1","before_id":"5"}"#,
            error(#""fetch_messages""#, "after_id: cannot be combined with before_id")),
        Self(
            #"{"action":"edit_message","message_id":"4","content":"better"}"#,
            #"edit 4 "better" by ann in tenant/room-1"#),
        Self(
            #"{"action":"edit_message","content":"better"}"#,
            error(#""edit_message""#, "message_id: is missing")),
        Self(
            #"{"action":"edit_message","message_id":"4"}"#,
            error(#""edit_message""#, "content: is missing")),
        Self(
            #"{"action":"edit_message","message_id":"4","content":"\u3000"}"#,
            error(#""edit_message""#, "content: must not be empty")),
        Self(
            #"{"action":"edit_message","message_id":"four","content":"x"}"#,
            error(#""edit_message""#, "message_id: must be a message id")),
        Self(
            #"{"action":"delete_message","message_id":"4"}"#, "delete 4 by ann in tenant/room-1"
        ),
        Self(
            #"{"action":"delete_message","message_id":4}"#,
            error(#""delete_message""#, "message_id: must be a string")),
        Self(#"{"action":"authenticate","token":"a.b.c"}"#, "authenticate a.b.c"),
        Self(#"{"action":"authenticate"}"#, error(#""authenticate""#, "token: is missing")),
        Self(#"{"action":"heartbeat"}"#),
        Self(#"{"action":"heartbeat_ack","conversation_id":5}"#),
        Self(#"{"action":"dance"}"#, error(#""dance""#, #"action: \"dance\" is unknown"#)),
        Self(
            #"{"action":"d\u0000\n\"é"}"#,
            error(#""d\u0000\n\"é""#, #"action: \"d\u0000\n\"é\" is unknown"#)),
        Self(
            #"{"action":"Send_Message","content":"x"}"#,
            error(#""Send_Message""#, #"action: \"Send_Message\" is unknown"#)),
        Self(#"{"action":""}"#, error(#""""#, #"action: \"\" is unknown"#)),
        Self(#"{"action":5}"#, error("null", "action: must be a string")),
        Self(#"{"action":null}"#, error("null", "action: is missing")),
        Self(#"{"type":"typing"}"#, error("null", "action: is missing")),
        Self("{}", error("null", "action: is missing")),
        Self("[]", error("null", "a frame must be a JSON object")),
        Self(#""send_message""#, error("null", "a frame must be a JSON object")),
        Self("null", error("null", "a frame must be a JSON object")),
    ]

    static let malformed = [
        Self("", error("null", "The JSON is malformed at byte 0: it ends too early.")),
        Self("{", error("null", "The JSON is malformed at byte 1: it ends too early.")),
        Self("hello", error("null", "The JSON is malformed at byte 0: a value was expected.")),
        Self(
            #"{"action":"typing",}"#,
            error(
                "null",
                """
                The JSON is malformed at byte 19: a member's name in double quotes was \
                expected.
                """
            )),
        Self(
            #"{"action":"heartbeat"} x"#,
            error("null", "The JSON is malformed at byte 23: something follows the value.")),
        Self(
            #"{"action":"send_message","content":"\ud800"}"#,
            error(
                "null",
                """
                The JSON is malformed at byte 36: an escaped surrogate stands alone.
                """)),
        Self(
            #"{"action":"send_message","content":"\ude00\ud83d"}"#,
            error(
                "null",
                """
                The JSON is malformed at byte 36: an escaped surrogate stands alone.
                """)),
        Self(
            "{\"action\":\"send_message\",\"content\":\"a\nb\"}",
            error(
                "null",
                """
                The JSON is malformed at byte 37: a control character in a string must be \
                escaped.
                """
            )),
        Self(
            #"{"a":[[[[[[[[1]]]]]]]]}"#,
            error(
                "null", "The JSON is malformed at byte 12: values are nested more than 8 deep.")
        ),
        Self(
            "\u{FEFF}{}",
            error(
                "null",
                """
                The JSON is malformed at byte 0: it begins with a byte order mark.
                """)),
        Self(
            #"{'action':'typing'}"#,
            error(
                "null",
                """
                The JSON is malformed at byte 1: a member's name in double quotes was expected.
                """
            )),
    ]

    static let all = sending + references + features + otherFrames + malformed
}
