public import Bytes

/// The notice in a user's inbox that the user is a member of a conversation.
///
/// It travels as a message whose content is the conversation's id. Connections that follow all
/// conversations of their user enter the conversation from the notice's position, so they get every
/// later message, however late the notice arrives.
public struct InboxNotice: Sendable, Equatable {
    /// A point of a conversation's history.
    public struct Position: Sendable, Equatable {
        /// The newest message before the point; 0 for none.
        public let head: SequenceNumber
        public let revision: Revision

        public init(head: SequenceNumber, revision: Revision) {
            self.head = head
            self.revision = revision
        }

        /// Before everything in a conversation.
        public static let start = Self(head: 0, revision: 0)
    }

    public let conversation: ByteString
    public let position: Position
    /// Members of a JSON object that the dialect of the conversation adds; empty for none.
    public let fields: ByteString

    public init(_ conversation: ByteString, from position: Position, fields: ByteString = "") {
        self.conversation = conversation
        self.position = position
        self.fields = fields
    }

    /// Reads the notice from a message of an inbox. Nil if it has no position.
    public init?(_ body: MessageBody) {
        let metadata = String(decoding: body.metadata ?? [], as: UTF8.self)
        var rest = metadata.utf8.dropFirst().dropLast()
        guard let head = Self.readNumber(named: #""head":"#, from: &rest),
            let revision = Self.readNumber(named: #","rev":"#, from: &rest)
        else { return nil }
        self.conversation = ByteString(body.content)
        self.position = Position(head: head, revision: revision)
        self.fields = ByteString(String(Substring(rest.dropFirst())))
    }

    /// The number of a member at the start of `text`, which is removed; nil if it has another name.
    private static func readNumber(
        named name: String, from text: inout Substring.UTF8View
    ) -> Int? {
        guard text.starts(with: name.utf8) else { return nil }
        let digits = text.dropFirst(name.utf8.count)
        let end = digits.firstIndex { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard let number = Int(Substring(digits[..<(end ?? digits.endIndex)])) else { return nil }
        text = digits[(end ?? digits.endIndex)...]
        return number
    }

    /// The message that carries the notice.
    ///
    /// - Parameter id: the id of all attempts to post it; nil for a new one.
    public func body(by author: Person, id: ClientMessageID? = nil) -> MessageBody {
        let more = self.fields.byteCount > 0 ? ",\(self.fields)" : ""
        let metadata = #"{"head":\#(self.position.head),"rev":\#(self.position.revision)\#(more)}"#
        return MessageBody(
            author: author, clientMessageID: id, content: self.conversation.string,
            metadata: Array(metadata.utf8))
    }
}
