internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// `confab history` and `confab send`.
struct MessageVerbs: VerbGroup {
    let context: AdminContext

    var handlers: [String: AdminHandler] { ["history": self.history, "send": self.send] }

    // MARK: History

    private func history(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        _ = try await self.context.load(key)
        let after = request.number("after")
        let page = try await self.context.page(
            key, after.map { .after($0) } ?? .newest,
            limit: request.number("last") ?? (after == nil ? 20 : 1000))
        return .document(
            key.arguments + [
                .init("head", .integer(page.head)),
                .init("oldest", .integer(page.oldest)),
                .init("messages", .array(page.messages.map(\.tree))),
            ])
    }

    // MARK: Send

    private func send(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let user = request.text("user") ?? ""
        let content = request.text("content") ?? ""
        let key = request.conversation
        do throws(ChatError) {
            try self.context.limits.check(content: content)
        } catch {
            throw .badRequest(error.description)
        }
        // The operator writes ids as they are displayed, with the prefix of guests.
        let id = UserID(displayID: ByteString(user))
        let member = try await self.context.load(key).currentMembers.first { $0.user.looksLike(id) }
        guard member != nil || NameRule.allows(id.name.string, limit: 128) else {
            throw .badRequest("\"user\": must be 1 to 128 \(NameRule.text).")
        }
        let replyTo = request.number("reply_to")
        let place = "\(key.id) of tenant \(key.tenant)"
        if request.isDryRun {
            return .summary(
                "would send it to \(place), as \(user)"
                    + (replyTo.map { ", in reply to message \($0)" } ?? ""))
        }
        let person = Person(id: member?.user ?? id, name: member?.name ?? id.name)
        if member == nil {
            let join = JoinRequest(
                principal: Principal(person: person, isAdmin: true), isListedInToken: true,
                template: ConversationTemplate(origin: "admin"))
            _ = try await self.context.command(.join(join), in: key)
        }
        let body = MessageBody(
            author: person, clientMessageID: nil, content: content,
            annotations: MessageAnnotations(
                reply: replyTo.map { Reply(to: $0) }, mentions: nil))
        let answer = try await self.context.command(.post(body), in: key)
        guard case .posted(let message, _) = answer else { throw .internalServerError }
        self.context.logger.info(
            "message sent by operator",
            [
                "conversation": .text(key.description), "user": .text(user),
                "sequence": LogValue(message.sequence),
            ])
        self.context.record(
            "send", request, detail: "message \(message.sequence) of \(place), as \(user)")
        return .document([
            .init("summary", .string("message \(message.sequence) of \(key.id)")),
            .init("conversation", .string(key.id.string)), .init("messages", [message.tree]),
        ])
    }
}
