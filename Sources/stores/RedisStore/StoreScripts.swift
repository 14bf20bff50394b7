import ChatModel
import RedisClient

/// The scripts of the store. The files in `Lua` describe them, with their keys and arguments.
///
/// Each is atomic, because a check and the write that depends on it must not be separated.
///
/// Each script about a conversation gets the key of its hash and derives its other keys from it:
/// they have the same hash tag and so the same slot (`StoreKeys`). Redis Cluster also gets the
/// other keys, so that it replies TRYAGAIN while a moving slot has them on two nodes. Commands that
/// may fail use `pcall`, because a script that fails halfway keeps what it has written.
enum StoreScripts {
    static let claim = Self.script(PackageResources.claim_lua)
    static let write = Self.script(PackageResources.write_lua)
    static let writeWithOutbox = Self.script(PackageResources.write_with_outbox_lua)

    static let load = Self.script(PackageResources.load_lua)
    static let page = Self.script(PackageResources.page_lua)
    static let thread = Self.script(PackageResources.thread_lua)
    static let amended = Self.script(PackageResources.amended_lua)
    static let recent = Self.script(PackageResources.recent_lua)
    static let unread = Self.script(PackageResources.unread_lua)
    static let search = Self.script(PackageResources.search_lua)
    static let messages = Self.script(PackageResources.messages_lua)
    static let window = Self.script(PackageResources.window_lua)
    static let summary = Self.script(PackageResources.summary_lua)

    static let examine = Self.script(PackageResources.examine_lua)
    static let repair = Self.script(PackageResources.repair_lua)

    static let listEntries = Self.script(PackageResources.list_entries_lua)
    static let removeStale = Self.script(PackageResources.remove_stale_lua)

    static let numbers = Self.script(PackageResources.numbers_lua)
    static let nextNumber = Self.script(PackageResources.next_number_lua)
    static let users = Self.script(PackageResources.users_lua)
    static let putBan = Self.script(PackageResources.put_ban_lua)

    static let countEvents = Self.script(PackageResources.outbox_count_lua)
    static let takeEvents = Self.script(PackageResources.outbox_take_lua)
    static let beginEvent = Self.script(PackageResources.outbox_begin_lua)
    static let completeEvents = Self.script(PackageResources.outbox_complete_lua)
    static let buryEvent = Self.script(PackageResources.outbox_bury_lua)
    static let deadLetters = Self.script(PackageResources.outbox_letters_lua)
    static let retryDeadLetters = Self.script(PackageResources.outbox_retry_lua)

    static let restore = Self.script(PackageResources.restore_lua)
    static let restoreNumbers = Self.script(PackageResources.restore_numbers_lua)

    /// The scripts that a node's client must load; `RedisSearcher` has its own, and copies send
    /// theirs each time.
    static let loaded = [
        claim, write, writeWithOutbox, load, page, thread, window, amended, recent, unread, summary,
        listEntries, removeStale, numbers, nextNumber, users, putBan, examine, repair, countEvents,
        takeEvents, beginEvent, completeEvents, buryEvent, deadLetters, retryDeadLetters,
    ]

    private static func script(_ file: [UInt8]) -> RedisScript {
        RedisScript(
            lua: file, constants: ["ADMIN_ROLE": String(Member.Role.admin.rawValue)],
            included: Self.included)
    }

    /// The files that others include.
    private static let included = [
        "amended_since": PackageResources.amended_since_lua,
        "collect": PackageResources.collect_lua,
        "entry_size": PackageResources.entry_size_lua,
        "origin": PackageResources.origin_lua,
        "outbox_fields": PackageResources.outbox_fields_lua,
        "outbox_finish": PackageResources.outbox_finish_lua,
        "outbox_headers": PackageResources.outbox_headers_lua,
        "outbox_is_mine": PackageResources.outbox_is_mine_lua,
        "overlays": PackageResources.overlays_lua,
        "page_end": PackageResources.page_end_lua,
        "read_page": PackageResources.read_page_lua,
        "read_range": PackageResources.read_range_lua,
        "reading": PackageResources.reading_lua,
        "unread_above": PackageResources.unread_above_lua,
        "write_annotated": PackageResources.write_annotated_lua,
        "write_change": PackageResources.write_change_lua,
        "write_end": PackageResources.write_end_lua,
        "write_runs": PackageResources.write_runs_lua,
    ]
}
