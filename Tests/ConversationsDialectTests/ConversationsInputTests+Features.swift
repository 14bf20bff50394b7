/// Reactions, replies, mentions, pins and search.
extension ConversationsInputTests.Case {
    private static func error(_ action: String, _ text: String) -> String {
        #"{"type":"error","action":"\#(action)","error":"\#(text)"}"#
    }

    private static func failed(_ text: String) -> String {
        #"{"type":"message.failed","local_id":null,"error":"\#(text)","outcome":"refused"}"#
    }

    private static let emoji =
        "emoji: must be one emoji, or a name between colons, of at most 32 bytes"

    private static func sending(_ fields: String) -> String {
        #"{"action":"send_message","content":"x",\#(fields)}"#
    }

    private static func reacting(_ emoji: String) -> String {
        #"{"action":"react","message_id":"7","emoji":"\#(emoji)","on":true}"#
    }

    static let references = [
        Self(
            sending(#""reply_to":"7""#),
            #"post "x" id - by ann reply to 7 in tenant/room-1"#),
        Self(sending(#""reply_to":null"#), #"post "x" id - by ann in tenant/room-1"#),
        Self(sending(#""reply_to":7"#), failed("reply_to: must be a string")),
        Self(sending(#""reply_to":"07""#), failed("reply_to: must be a message id")),
        Self(
            sending(#""mentions":["bob","guest:eve"]"#),
            #"post "x" id - by ann mentioning bob,anonymous eve in tenant/room-1"#),
        Self(
            sending(#""mentions":"all","reply_to":"1""#),
            #"post "x" id - by ann reply to 1 mentioning all in tenant/room-1"#),
        Self(sending(#""mentions":[]"#), #"post "x" id - by ann in tenant/room-1"#),
        Self(
            sending(#""mentions":"bob""#),
            failed(#"mentions: must be \"all\" or an array of user ids"#)),
        Self(sending(#""mentions":[1]"#), failed("mentions: must be an array of strings")),
        Self(sending(#""mentions":[""]"#), failed("mentions: each must be a user id")),
        Self(sending(#""mentions":["a\u0007"]"#), failed("mentions: each must be a user id")),
        Self(
            sending(
                #""mentions":["#
                    + (0...50).map { #""u\#($0)""# }.joined(separator: ",") + "]"),
            failed("mentions: more than 50 users")),
    ]

    static let features = [
        Self(reacting("👍"), "react 7 👍 on by ann in tenant/room-1"),
        Self(reacting("👩🏽‍🚀"), "react 7 👩🏽‍🚀 on by ann in tenant/room-1"),
        Self(reacting("❤️"), "react 7 ❤ on by ann in tenant/room-1"),
        Self(reacting(":tada:"), "react 7 :tada: on by ann in tenant/room-1"),
        Self(
            #"{"action":"react","message_id":"7","emoji":"👍","on":false}"#,
            "react 7 👍 off by ann in tenant/room-1"),
        Self(reacting(""), error("react", emoji)),
        Self(reacting("👍👍"), error("react", emoji)),
        Self(reacting(" "), error("react", emoji)),
        Self(reacting(#"\u0000"#), error("react", emoji)),
        Self(reacting("::"), error("react", emoji)),
        Self(reacting(":no space:"), error("react", emoji)),
        Self(reacting(":" + String(repeating: "a", count: 31) + ":"), error("react", emoji)),
        Self(
            #"{"action":"react","message_id":"7","on":true}"#, error("react", "emoji: is missing")),
        Self(
            #"{"action":"react","message_id":"7","emoji":"👍"}"#, error("react", "on: is missing")),
        Self(
            #"{"action":"react","emoji":"👍","on":true}"#, error("react", "message_id: is missing")),
        Self(#"{"action":"pin","message_id":"7"}"#, "pin 7 by ann in tenant/room-1"),
        Self(#"{"action":"unpin","message_id":"7"}"#, "unpin 7 by ann in tenant/room-1"),
        Self(#"{"action":"pin"}"#, error("pin", "message_id: is missing")),
        Self(#"{"action":"unpin","message_id":7}"#, error("unpin", "message_id: must be a string")),
        Self(#"{"action":"pins"}"#, "pins for ann access membersOnly in tenant/room-1"),
        Self(
            #"{"action":"fetch_messages","thread":"3","limit":5}"#,
            "read thread 3 newest limit 5 in tenant/room-1"),
        Self(
            #"{"action":"fetch_messages","thread":"3","after_id":"4"}"#,
            "read thread 3 after(4) limit 20 in tenant/room-1"),
        Self(
            #"{"action":"fetch_messages","thread":"x"}"#,
            error("fetch_messages", "thread: must be a message id")),
        Self(
            #"{"action":"search","text":"Crème  brûlée!"}"#,
            #"fetch search ["creme", "brulee"] before - limit 20 in tenant/room-1"#),
        Self(
            #"{"action":"search","text":"東京 \"OR\" NEAR(","before_id":"9","limit":100}"#,
            #"fetch search ["東", "京", "or", "near"] before 9 limit 100 in tenant/room-1"#),
        Self(
            #"{"action":"search","text":"x"}"#,
            #"fetch search ["x"] before - limit 20 in tenant/room-1"#),
        Self(
            #"{"action":"search","text":" * "}"#,
            error("search", "text: must contain a letter or a digit")),
        Self(
            #"{"action":"search","text":"\#(String(repeating: "x", count: 257))"}"#,
            error("search", "text: longer than 256 bytes")),
        Self(#"{"action":"search"}"#, error("search", "text: is missing")),
        Self(
            #"{"action":"search","text":"x","limit":0}"#,
            error("search", "limit: must be a whole number from 1 to 100")),
    ]
}
