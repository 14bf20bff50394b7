import Bytes
import ConfabClient
import Identity

/// The URLs and frames of a run's members, each in the member's protocol.
struct MemberFrames {
    private let plan: LoadPlan
    private let signer: TokenSigner?
    private let tokenExpiry: Timestamp

    /// - Parameters:
    ///   - signer: signs the tokens; nil where none are needed.
    ///   - tokenExpiry: must be after the end of the run.
    init(_ plan: LoadPlan, signer: TokenSigner?, tokenExpiry: Timestamp) {
        self.plan = plan
        self.signer = signer
        self.tokenExpiry = tokenExpiry
    }

    /// The URL that a member connects to.
    func url(member: Int, group: Int) -> WebSocketURL {
        let conversation = self.plan.conversation(group)
        let server = self.plan.urls[self.plan.serverIndex(of: member, in: group)]
        let url = self.plan.loadProtocol(of: member, in: group).url(of: conversation, at: server)
        guard self.plan.adapter.needsTokens else { return url }
        return self.token(member: member, conversation: conversation).map {
            url.setting("token", to: $0)
        } ?? url
    }

    private func token(member: Int, conversation: String) -> String? {
        let name = "u\(member)"
        let claims = Claims(
            subject: name, username: name, grants: .listed([ByteString(conversation)]),
            expiry: self.tokenExpiry)
        do {
            return try self.signer?.sign(claims)
        } catch {
            preconditionFailure("A token of our own making is refused: \(error)")
        }
    }

    // MARK: Joining

    /// Whether a member has joined as soon as its WebSocket is open. Otherwise `firstJoinStep` and
    /// `joinStep` lead to the join.
    func joinsByConnecting(_ member: Int, group: Int) -> Bool {
        self.plan.loadProtocol(of: member, in: group).joinsByConnecting
    }

    /// The step that a member takes when its WebSocket is open.
    func firstJoinStep(of member: Int, group: Int) -> LoadJoinStep? {
        self.plan.loadProtocol(of: member, in: group).firstFrame(
            joining: self.plan.conversation(group)
        ).map { .send($0) }
    }

    /// The step that follows a frame without a stamp.
    func joinStep(of member: Int, to frame: UnsafeRawBufferPointer, group: Int) -> LoadJoinStep? {
        let loadProtocol = self.plan.loadProtocol(of: member, in: group)
        guard !loadProtocol.joinsByConnecting else { return nil }
        return loadProtocol.joinStep(after: frame, joining: self.plan.conversation(group))
    }

    /// Appends the frame that publishes a message.
    func append(
        publishing stamp: MessageStamp, by member: Int, in group: Int, to buffer: inout ByteBuffer
    ) {
        self.plan.loadProtocol(of: member, in: group).append(
            LoadMessage(
                stamp: stamp, member: member, run: self.plan.name, group: group,
                contentByteCount: self.plan.messageBytes),
            to: &buffer)
    }

    /// The text of a frame that reports an error; nil for presence, receipts and other expected
    /// frames.
    func errorText(in frame: UnsafeRawBufferPointer, to member: Int, group: Int) -> String? {
        let patterns = self.plan.loadProtocol(of: member, in: group).errorPatterns
        guard patterns.contains(where: { frame.contains($0) }) else { return nil }
        return String(decoding: frame.prefix(300), as: UTF8.self)
    }
}
