import Bytes
import ChatModel
import DialectKit
import EventLoop
import Gateway
import HTTPWire
import Identity
import RoomsDialect
import Synchronization
import TestKit

@testable import RoomsAPI

/// A node with scripted answers behind the API. It records the requests.
final class ScriptedNode: RoomsPort {
    private let api: RoomsAPI
    private let recorded = Mutex<[String]>([])
    private let command: @Sendable (String, ChatCommand, ByteString) -> ChatAnswer?
    private let read: @Sendable (StoreRequest) -> StoreAnswer?
    private let ban: Ban?
    let searches = SearchAdmission()

    /// - Parameters:
    ///   - isOpen: whether the API is connected to the node.
    ///   - ids: the ids of new conversations; after them, `abc12345`.
    ///   - command: receives the command's name, the command and the conversation's id.
    init(
        isOpen: Bool = true, ids: [ByteString] = [], ban: Ban? = nil, guestKey: GuestKey? = nil,
        command: @escaping @Sendable (String, ChatCommand, ByteString) -> ChatAnswer? = { _, _, _ in
            nil
        },
        read: @escaping @Sendable (StoreRequest) -> StoreAnswer? = { _ in nil }
    ) {
        let left = Mutex(ids)
        self.api = RoomsAPI(
            guestKey: guestKey,
            makeID: { left.withLock { $0.isEmpty ? "abc12345" : $0.removeFirst() } })
        self.command = command
        self.ban = ban
        self.read = read
        if isOpen { self.api.open(self) }
    }

    /// The requests in order, for example `create abc`.
    var requests: [String] { self.recorded.withLock { $0 } }

    func ban(of user: UserID, in tenant: ByteString) -> Ban? {
        self.ban.flatMap {
            $0.subject.user == user.displayID && $0.subject.tenant == tenant ? $0 : nil
        }
    }

    func command(
        _ command: ChatCommand, in key: ConversationKey, by client: LimitKey, within time: Duration
    ) async -> ChatAnswer? {
        let name =
            switch command {
            case .create: "create"
            case .describe: "describe"
            case .join: "join"
            case .end: "end"
            case .post: "post"
            case .edit: "edit"
            case .delete: "delete"
            case .addMember: "add"
            case .removeMember: "remove"
            default: "?"
            }
        self.recorded.withLock { $0.append("\(name) \(key.id)") }
        return self.command(name, command, key.id)
    }

    func beginSearch(for searcher: LimitKey) throws(SearchRefusal) -> SearchPermit {
        try self.searches.begin(for: searcher)
    }

    func awaitFurtherRead(by client: LimitKey) async {
        self.recorded.withLock { $0.append("wait") }
    }

    func read(_ request: StoreRequest, within time: Duration) async -> StoreAnswer? {
        self.recorded.withLock { $0.append("read") }
        return self.read(request)
    }
}

/// A response, including errors, in the form in which tests read it.
struct APIResponse {
    let status: Int
    let body: JSONObject
    let fields: [String: String]

    var error: String? { self.body["error"] }
}

extension ScriptedNode {
    /// Handles a request as the gateway does.
    func response(
        _ method: HTTPMethod = .get, _ path: String, _ body: String = "", query: String? = nil,
        contentType: String? = "application/json", ifNoneMatch: String? = nil,
        base: String = "http://here",
        _ credentials: Credentials = .none, anonymous: Bool = true, isLoopback: Bool = true,
        messageBytes: Int = 65_536
    ) async throws -> APIResponse {
        var limits = Limits()
        limits.messageBytes = messageBytes
        limits.contentBytes = 100
        let request = HTTPRequest(
            method: method, path: path, query: query,
            contentType: method == .post || method == .patch ? contentType : nil,
            ifNoneMatch: ifNoneMatch, peer: SocketAddress(literal: "127.0.0.1", port: 1)!,
            credentials: credentials,
            allowsAnonymous: anonymous, isLoopback: isLoopback, linkBase: base,
            limits: limits)
        var response: HTTPResponse
        do throws(HTTPError) {
            if let work = try self.api.asyncResponse(for: request, body: Array(body.utf8)) {
                response = try await work()
            } else {
                response = try self.api.answer(request, body: Array(body.utf8))
            }
        } catch {
            // The gateway gives errors this shape on the API's paths only.
            let root = RoomsRoute.root
            guard path == root || path.hasPrefix(root + "/") else { throw error }
            let isSend = method == .post && path.hasSuffix("/messages")
            response = HTTPResponse(apiError: error, outcome: isSend ? .refused : nil)
        }
        let text = String(decoding: response.body, as: UTF8.self)
        return APIResponse(
            status: response.status.rawValue, body: try JSONObject(text.isEmpty ? "{}" : text),
            fields: Dictionary(uniqueKeysWithValues: response.fields.map { ($0.name, $0.value) }))
    }
}

extension ConversationDetails {
    /// A conversation of this protocol with one member, ann, who asks.
    static func room(
        _ title: String = "Tea", _ template: ConversationTemplate = .rooms, at moment: Int64 = 1000,
        isEnded: Bool = false,
        head: SequenceNumber = 0, lastMessage: Message? = nil
    ) -> ConversationDetails {
        let ann = UserID(tokenSubject: "ann")
        var record = ConversationRecord(
            template, title: title, creator: ann,
            createdAt: Timestamp(milliseconds: moment))
        if isEnded { record.endedAt = Timestamp(milliseconds: moment + 1) }
        let member = Member(user: ann, name: "Ann", role: .creator, joinedAt: record.createdAt)
        return ConversationDetails(
            record: record, head: head, members: [member], online: [], viewer: member,
            lastMessage: lastMessage)
    }
}

extension Credentials {
    static func token(
        _ user: ByteString, grants: Grants = .none, isAdmin: Bool = false,
        tenant: ByteString = "default"
    ) -> Credentials {
        .bearer(Identity(user: user, tenant: tenant, grants: grants, isAdmin: isAdmin))
    }
}

extension JoinResult {
    /// The join result of a conversation without members and messages.
    static var empty: JoinResult {
        JoinResult(
            head: 0, oldest: 1, revision: 1, ended: nil, present: [], presentCount: 0,
            isCrowd: false)
    }
}
