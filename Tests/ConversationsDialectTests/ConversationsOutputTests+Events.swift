import Bytes
import ChatModel
import DialectKit

/// The events, and the frames that they cause.
extension ConversationsOutputTests {
    private static let now = #""timestamp":"2026-01-31T12:00:00.123Z""#

    static let events: [Event] = [
        Event(
            "a message", .posted(message(7)),
            (
                #"""
                {"type":"chat_message","message":{"id":"7","sender_id":"ann",\#
                "username":"Ann \"the\" An",\#
                "content":"Hi",\#(now),"status":"sent","rev":7},"rev":7}
                """#,
                .everybody
            )),
        Event(
            "a message with its sender's id",
            .posted(message(8, "\u{0}\u{1F}\"\\\u{7F}\u{2028}😀é\u{301}", localID: "n \"1\"")),
            (
                #"""
                {"type":"chat_message","message":{"id":"8","local_id":"n \"1\"",\#
                "sender_id":"ann","username":"Ann \"the\" An","content":"\u0000\u001f\"\\
                """#
                    + "\u{7F}\u{2028}😀é\u{301}"
                    + #"",\#(now),"status":"sent","rev":8},"rev":8}"#, .everybody
            )),
        Event(
            "a message whose id the node has made",
            .posted(
                Message(
                    sequence: 9, revision: 9, sentAt: time,
                    body: MessageBody(
                        author: bob, clientMessageID: ClientMessageID(mintedFrom: 7, count: 1),
                        content: "x"))),
            (
                #"""
                {"type":"chat_message","message":{"id":"9","sender_id":"bob","username":"Bob",\#
                "content":"x",\#(now),"status":"sent","rev":9},"rev":9}
                """#,
                .everybody
            )),
        Event(
            "a message of a guest", .posted(message(10, "x", by: guest)),
            (
                #"""
                {"type":"chat_message","message":{"id":"10","sender_id":"guest:Guest\n1",\#
                "username":"Guest 1","guest":true,"guest_key":"q8Zt-m_R",\#
                "content":"x",\#(now),"status":"sent","rev":10},"rev":10}
                """#,
                .everybody
            )
        ),
        Event(
            "a message that was edited before it was delivered",
            .posted(message(11, "x", .edited)),
            (
                #"""
                {"type":"chat_message","message":{"id":"11","sender_id":"ann",\#
                "username":"Ann \"the\" An",\#
                "content":"x",\#(now),"status":"sent","is_edited":true,"is_deleted":false,\#
                "rev":11},"rev":11}
                """#,
                .everybody
            )),
        Event(
            "a replayed message with reactions, whose pin has ended",
            .posted(
                message(12, "x").reacted(with: Reactions(), revision: 13)
                    .pinned(PinState(isPinned: false, by: bob, at: time), revision: 14)),
            (
                #"""
                {"type":"chat_message","message":{"id":"12","sender_id":"ann",\#
                "username":"Ann \"the\" An",\#
                "content":"x",\#(now),"status":"sent","reactions":[],"pinned":null,\#
                "rev":14},"rev":14}
                """#,
                .everybody
            )),
        Event(
            "an edit", .edited(message(7, "Hello", localID: "n", .edited)),
            (
                #"""
                {"type":"message.edited","message":{"id":"7","local_id":"n","sender_id":"ann",\#
                "username":"Ann \"the\" An",\#
                "content":"Hello",\#(now),"status":"sent","is_edited":true,"is_deleted":false,\#
                "rev":7},"rev":7}
                """#,
                .everybody
            )),
        Event(
            "a deletion", .deleted(message(7).deleted(revision: 9)),
            (
                #"""
                {"type":"message.deleted","message":{"id":"7","sender_id":"ann",\#
                "username":"Ann \"the\" An",\#
                "content":"",\#(now),"status":"sent","is_edited":false,"is_deleted":true,\#
                "rev":9},"rev":9}
                """#,
                .everybody
            )),
        Event(
            "typing", .typing(ann, true),
            (
                #"""
                {"type":"typing","user_id":"ann","username":"Ann \"the\" An","is_typing":true}
                """#,
                .others(ann.id)
            )),
        Event(
            "the end of typing", .typing(bob, false),
            (
                #"{"type":"typing","user_id":"bob","username":"Bob","is_typing":false}"#,
                .others(bob.id)
            )),
        Event(
            "reading", .read(bob, [3, 1], through: 3),
            (
                #"{"type":"read","user_id":"bob","username":"Bob","message_ids":["3","1"]}"#,
                .everybody
            )),
        Event(
            "marks", .status(author: ann.id, .delivered, [1, 2], at: time),
            (
                #"{"type":"message.status","message_id":"1","status":"delivered",\#(now)}"#,
                .only(ann.id)
            ),
            (
                #"{"type":"message.status","message_id":"2","status":"delivered",\#(now)}"#,
                .only(ann.id)
            )),
        Event(
            "a read status", .status(author: bob.id, .read, [1], at: time),
            (
                #"{"type":"message.status","message_id":"1","status":"read",\#(now)}"#,
                .only(bob.id)
            )),
        Event(
            "comings and goings",
            .presence([
                .init(person: ann, isOnline: true, at: time),
                .init(person: guest, isOnline: false, at: time),
            ]),
            (
                #"""
                {"type":"user_status","user_id":"ann",\#
                "username":"Ann \"the\" An","status":"online",\#(now)}
                """#,
                .others(ann.id)
            ),
            (
                #"""
                {"type":"user_status","user_id":"guest:Guest\n1",\#
                "username":"Guest 1","guest":true,"guest_key":"q8Zt-m_R",\#
                "status":"offline",\#(now)}
                """#,
                .others(guest.id)
            )),
        Event(
            "a crowd",
            .crowd(
                online: 231,
                [
                    .init(person: ann, isOnline: true, at: time),
                    .init(person: bob, isOnline: false, at: time),
                ]),
            (
                #"""
                {"type":"presence","conversation_id":"room-1","online":231,\#
                "changes":[{"user_id":"ann",\#
                "username":"Ann \"the\" An","status":"online",\#(now)},\#
                {"user_id":"bob","username":"Bob",\#
                "status":"offline",\#(now)}]}
                """#,
                .everybody
            )),
        Event(
            "an empty crowd", .crowd(online: 0, []),
            (
                #"{"type":"presence","conversation_id":"room-1","online":0,"changes":[]}"#,
                .everybody
            )),
        Event("a creation", .created),
        Event("a new member", .joined(member)), Event("another name", .renamed(member)),
        Event("a farewell", .left(member, at: time)),
        Event(
            "an end", .ended(by: ann.id, at: time),
            (
                #"""
                {"type":"conversation_ended","conversation_id":"room-1","ended_by":"ann",\#
                \#(now)}
                """#,
                .everybody
            )),
    ]

    private static let member = Member(user: ann.id, name: "Ann", role: .member, joinedAt: time)
}
