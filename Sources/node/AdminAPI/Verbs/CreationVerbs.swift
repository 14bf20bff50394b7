internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import JSON

/// Creating conversations. They have no creator, because an operator is no user.
struct CreationVerbs: VerbGroup {
    let context: AdminContext
    /// Nil if operators cannot create conversations.
    let creation: ConversationCreation?

    var handlers: [String: AdminHandler] { ["create": self.create] }

    /// Ids collide about never; the limit ends a loop that a broken source of ids would cause.
    private static let idAttempts = 3
    private static let creator = Principal(
        person: Person(id: UserID(storageKey: ""), name: ""), isAdmin: true)

    func create(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        guard let creation, let gateway = self.context.gateway else { throw .internalServerError }
        let tenant = ByteString(request.text("tenant") ?? "default")
        let title = request.text("title") ?? ""
        let joinPolicy = request.flag("closed") ? .closed : creation.joinPolicy
        var members: [Person] = []
        for user in request["members"]?.elements?.compactMap(\.stringValue) ?? [] {
            guard !user.hasPrefix(UserID.guestPrefix) else {
                throw .badRequest("\"members\": \(user) is a guest; guests come by the link.")
            }
            let id = ByteString(user)
            members.append(Person(id: UserID(tokenSubject: id), name: id))
        }
        let what =
            "\(joinPolicy == .closed ? "a closed" : "an open") conversation of tenant \(tenant) "
            + "with \(members.count) members"
        if request.isDryRun { return .summary("would create \(what)") }
        let template = ConversationTemplate(
            origin: "admin", joinPolicy: joinPolicy,
            isListed: joinPolicy == .open && !request.flag("unlisted"))
        let new = NewConversation(
            template, title: title, creator: Self.creator, members: members)
        let key = try await self.create(new, creation.makeID, tenant)
        for person in members { await self.notify(person, of: key) }
        self.context.record("create", request, detail: "\(key.id): \(what)")
        let link = "\(creation.linkBase(of: gateway))/conversation/\(key.id)"
        return .document([
            .init("summary", .string("\(key.id) \(link)")),
            .init("conversation", .string(key.id.string)), .init("link", .string(link)),
        ])
    }

    private func create(
        _ new: NewConversation, _ makeID: @Sendable () -> ByteString, _ tenant: ByteString
    ) async throws(HTTPError) -> ConversationKey {
        for _ in 1..<Self.idAttempts {
            let key = ConversationKey(tenant: tenant, id: makeID())
            do throws(HTTPError) {
                _ = try await self.context.command(.create(new), in: key)
                return key
            } catch {
                guard error.status == .conflict else { throw error }
            }
        }
        let key = ConversationKey(tenant: tenant, id: makeID())
        _ = try await self.context.command(.create(new), in: key)
        return key
    }

    /// Notifies the connections of a member that follow all conversations of their user. Without
    /// the notification they find the conversation when they connect again, so a failure is no
    /// error.
    private func notify(_ person: Person, of key: ConversationKey) async {
        let body = InboxNotice(key.id, from: .start).body(by: person)
        _ = try? await self.context.command(.post(body), in: .inbox(of: person.id, in: key.tenant))
    }
}
