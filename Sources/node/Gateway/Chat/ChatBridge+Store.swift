import Bytes
import ChatCore
import ChatEngine
import ChatModel
import EventLoop
import Telemetry

/// A loop's requests to the store, and the store's replies.
struct StoreTraffic {
    let client: LoopStoreClient
    /// For the requests of sessions.
    let sessionsClient: LoopStoreClient
    var pendingWrites: [StoreTicket: PendingBatch] = [:]
    var shardRates = ShardRates()
    /// Lists that are reused.
    var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
    var replies: [StoreReply] = []

    /// A batch that the store has not answered.
    struct PendingBatch {
        /// When it was submitted, in nanoseconds.
        let submittedAt: Int64
        let writeCount: Int
    }

    init(_ context: LoopContext) {
        let mailbox = context.shared.storeReplyMailboxes[context.index]
        let storeErrors = context.shared.storeErrors
        self.client = LoopStoreClient(mailbox, of: context.loop, storeErrors)
        self.sessionsClient = LoopStoreClient(
            mailbox, of: context.loop, storeErrors, isForSessions: true)
    }
}

extension LoopContext {
    var store: any ChatStore { self.shared.stores[self.index] }
}

/// Exchanges requests and replies with the store.
extension ChatBridge {
    mutating func submitStoreRequests() {
        let notifications = self.chat.takeEnvelopesWithWrite()
        var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
        swap(&requests, &self.store.requests)
        self.chat.takeRequests(into: &requests)
        if !requests.isEmpty {
            var replies: [StoreReply] = []
            swap(&replies, &self.store.replies)
            for index in requests.indices {
                // Moved out, because a copy would count a reference for every string in it.
                let (request, ticket) = exchange(&requests[index], with: (.probe, 0))
                self.submitToStore(request, ticket, notifications, into: &replies)
            }
            self.handleStoreReplies(&replies)
            swap(&replies, &self.store.replies)
        }
        swap(&requests, &self.store.requests)
    }

    mutating func receiveStoreReplies() {
        var replies: [StoreReply] = []
        swap(&replies, &self.store.replies)
        self.context.shared.storeReplyMailboxes[self.context.index].drain(into: &replies)
        self.handleStoreReplies(&replies)
        swap(&replies, &self.store.replies)
    }

    mutating func handleStoreReplies(_ replies: inout [StoreReply]) {
        // Through the buffer pointer, because the array would return copies.
        replies.withUnsafeBufferPointer { replies in
            for index in replies.indices {
                let ticket = replies[index].ticket
                if replies[index].isForSession {
                    self.handleFetchReply(
                        replies[index].answer, for: RequestContextID(rawValue: ticket.rawValue))
                    continue
                }
                if !self.store.pendingWrites.isEmpty,
                    let batch = self.store.pendingWrites.removeValue(forKey: ticket)
                {
                    self.recordAnswer(replies[index].answer, to: batch)
                }
                self.chat.storeAnswered(replies[index].answer, ticket: ticket, at: self.context.now)
            }
        }
        replies.clear(keepingCapacityUpTo: 1024)
    }

    private mutating func recordAnswer(
        _ answer: StoreAnswer, to batch: StoreTraffic.PendingBatch
    ) {
        let now = MonotonicTime.exact.nanoseconds
        // The batch was stored at this time, and not when the turn began.
        self.chat.traceTime = now
        self.context.counters.storeTimes.record(UInt64(max(0, now - batch.submittedAt)))
        switch answer {
        case .written(.stored): self.context.counters.storedWrites += UInt64(batch.writeCount)
        case .written(.refused(let refusals)):
            self.context.counters.storedWrites += UInt64(max(0, batch.writeCount - refusals.count))
        default: break
        }
    }

    /// - Parameter replies: gets the replies that the store gives at once.
    mutating func submitToStore(
        _ request: consuming StoreRequest, _ ticket: StoreTicket, _ notifications: [Envelope],
        into replies: inout [StoreReply]
    ) {
        self.store.shardRates.recordRequest(request, at: self.context.now.wall)
        var writeCount: Int?
        if case .write(let batch) = request {
            writeCount = batch.writes.count
            self.context.counters.submittedBytes += UInt64(batch.contentBytes)
        }
        if !notifications.isEmpty, let relay = self.context.relay, case .write(var batch) = request
        {
            batch.publications = relay.publications(of: notifications, from: self.context.index)
            request = .write(batch)
        }
        let start = writeCount == nil ? 0 : MonotonicTime.exact.nanoseconds
        let count = replies.count
        self.store.client.submit(
            request, ticket: ticket, to: self.context.store, into: &replies)
        guard let writeCount else { return }
        let batch = StoreTraffic.PendingBatch(submittedAt: start, writeCount: writeCount)
        // By its index: an element would be copied.
        if let index = (count..<replies.count).first(where: { replies[$0].ticket == ticket }) {
            self.recordAnswer(replies[index].answer, to: batch)
        } else {
            self.store.pendingWrites[ticket] = batch
        }
    }
}

extension WriteBatch {
    /// The bytes of the contents and the metadata of the messages in it.
    fileprivate var contentBytes: Int {
        // Through the buffer pointer, because the array would return copies.
        self.writes.withUnsafeBufferPointer { writes in
            var bytes = 0
            for index in writes.indices { bytes += writes[index].change.contentBytes }
            return bytes
        }
    }
}

extension Write.Change {
    fileprivate var contentBytes: Int {
        switch self {
        case .message(let message), .amend(let message, _, _):
            message.body.content.utf8.count + (message.body.metadata?.count ?? 0)
        case .create, .member, .remove, .update, .cursors, .end, .skip: 0
        }
    }
}
