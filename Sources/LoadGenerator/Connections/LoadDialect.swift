import Bytes
import ChatClient
import Identity

/// What a server is spoken to in.
struct LoadDialect {
    private let plan: LoadPlan
    private let signer: TokenSigner?
    private let tokenExpiry: Timestamp
    private let contentByteCount: Int

    /// - Parameters:
    ///   - signer: of the tokens; nil where none are needed.
    ///   - tokenExpiry: must lie beyond the end of the run.
    init(_ plan: LoadPlan, signer: TokenSigner?, tokenExpiry: Timestamp) {
        self.plan = plan
        self.signer = signer
        self.tokenExpiry = tokenExpiry
        self.contentByteCount = plan.messageBytes
    }

    /// Where a member connects.
    func url(member: Int, group: Int) -> WebSocketURL {
        let conversation = self.plan.conversation(group)
        let server = self.plan.urls[self.plan.place(of: member, in: group)]
        switch self.plan.adapter {
        case .raw:
            return server.appending(path: "/g/\(conversation)")
        case .confab:
            let url = server.appending(path: "/conversations/\(conversation)/")
            return self.token(member: member, conversation: conversation).map { url.setting("token", to: $0) } ?? url
        }
    }

    private func token(member: Int, conversation: String) -> String? {
        let name = "u\(member)"
        let claims = Claims(
            subject: name, username: name, grants: .listed([ByteString(conversation)]), expiry: self.tokenExpiry)
        do {
            return try self.signer?.sign(claims)
        } catch {
            preconditionFailure("A token of our own making is refused: \(error)")
        }
    }

    /// The text that publishes a message.
    func append(publishing mark: LoadMark, by member: Int, to buffer: inout ByteBuffer) {
        switch self.plan.adapter {
        case .raw:
            mark.append(to: &buffer, filledTo: self.contentByteCount)
        case .confab:
            buffer.append(#"{"action":"send_message","content":""#)
            mark.append(to: &buffer, filledTo: self.contentByteCount)
            buffer.append(#"","local_id":""#)
            buffer.append(decimal: member)
            buffer.append("-")
            buffer.append(decimal: mark.number)
            buffer.append(#""}"#)
        }
    }

    /// What a frame without a mark complains of; nil for presence, receipts and all else that is as it should be.
    func complaint(in frame: UnsafeRawBufferPointer) -> String? {
        guard self.plan.adapter == .confab, frame.contains("message.failed") || frame.contains(#""type":"error""#) else { return nil }
        return String(decoding: frame.prefix(300), as: UTF8.self)
    }
}
