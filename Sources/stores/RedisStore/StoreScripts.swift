import ChatModel
import RedisClient

/// The scripts of the store, with the names of their keys and arguments. The Lua files of
/// `CScripts` say what each does.
///
/// Each is atomic, because a check and the write that depends on it must not be separated.
///
/// Each script about a conversation gets the key of its hash and derives its other keys from it:
/// they have the same hash tag and so the same slot (`StoreKeys`). Redis Cluster also gets the
/// other keys, so that it replies TRYAGAIN while a moving slot has them on two nodes. Commands that
/// may fail use `pcall`, because a script that fails halfway keeps what it has written.
enum StoreScripts {
    static let claim = RedisScript(lua: "claim", keys: "lease", arguments: "owner view")
    static let write = Self.writing("write")
    static let writeWithOutbox = Self.writing("write_with_outbox")

    // MARK: Reading a conversation

    static let load = Self.reading("load")
    static let page = Self.reading("page", "mode number limit bytes since")
    static let thread = Self.reading("thread", "root mode number limit bytes")
    static let amended = Self.reading("amended", "through since limit bytes")
    static let recent = Self.reading("recent", "limit")
    static let unread = Self.reading("unread", "after user")
    static let search = Self.reading("search", "before limit")
    static let messages = Self.reading("messages", "numbers...")
    static let window = Self.reading("window", "before limit")
    static let summary = Self.reading("summary", "user limit mention")

    // MARK: Inspection

    static let examine = RedisScript(lua: "examine", arguments: "_", constants: Self.roles)
    static let repair = RedisScript(
        lua: "repair",
        arguments: "_ owner epoch expected state amended entry_count entries...",
        layouts: [ArgumentLayout("pin", "number copy")])

    // MARK: Lists of conversations

    static let listEntries = RedisScript(
        lua: "list_entries", keys: "index", arguments: "direction score name limit")
    static let removeStale = RedisScript(
        lua: "remove_stale", keys: "index", arguments: "entries...",
        layouts: [ArgumentLayout("stale", "name score")])

    // MARK: Numbers and bans

    /// One hash holds a tenant's numbers: `u:<user>` has a user's number, `n:<number>` the user of
    /// a number, `minted` how many exist, and `counted` the tenant's counter.
    static let numbers = RedisScript(lua: "numbers", arguments: "lowest users...")
    static let nextNumber = RedisScript(lua: "next_number")
    static let users = RedisScript(lua: "users", arguments: "numbers...")
    /// One hash `p:{c}:bans` holds all bans, so that a node reads them with one command:
    /// `<tenant>:<user>` or `<tenant>:<user>:<conversation>`, percent-encoded, has a `StoredBan`.
    static let putBan = RedisScript(lua: "put_ban", arguments: "field value limit now")

    // MARK: The outbox

    // The outbox of a shard is a stream with a consumer group for each receiver, and a stream of
    // dead letters. Both have the shard's hash tag, so the write script fills the outbox.
    //
    // An event has the fields `k` (its conversation), `i` (its id), `t` (its type), `q` (when it
    // was queued), `b` (its body), and `g` (its only group) if it was a dead letter before. A dead
    // letter also has `n` (attempts), `r` (reason) and `d` (when it was given up).

    static let countEvents = RedisScript(lua: "outbox_count", keys: "outbox letters")
    static let takeEvents = RedisScript(
        lua: "outbox_take", keys: "outbox",
        arguments: "group consumer limit idle is_recovery position")
    static let beginEvent = RedisScript(
        lua: "outbox_begin", keys: "outbox", arguments: "group consumer position")
    static let completeEvents = RedisScript(
        lua: "outbox_complete", keys: "outbox", arguments: "group group_count groups...")
    static let buryEvent = RedisScript(
        lua: "outbox_bury", keys: "outbox letters",
        arguments: "group consumer position attempts reason now limit groups...")
    static let deadLetters = RedisScript(
        lua: "outbox_letters", keys: "letters", arguments: "limit")
    static let retryDeadLetters = RedisScript(
        lua: "outbox_retry", keys: "outbox letters", arguments: "now limit positions...")

    // MARK: Copies of another store

    static let restore = RedisScript(
        lua: "restore", keys: "key log members amendments threads pins",
        arguments: "previous groups...")
    static let restoreNumbers = RedisScript(
        lua: "restore_numbers", arguments: "minted counted numbers...",
        layouts: [ArgumentLayout("restored", "user number")])

    /// The scripts that a node's client must load; `RedisSearcher` has its own, and copies send
    /// theirs each time.
    static let loaded = [
        claim, write, writeWithOutbox, load, page, thread, window, amended, recent, unread, summary,
        listEntries, removeStale, numbers, nextNumber, users, putBan, examine, repair, countEvents,
        takeEvents, beginEvent, completeEvents, buryEvent, deadLetters, retryDeadLetters,
    ]

    private static let roles = ["ADMIN_ROLE": String(Member.Role.admin.rawValue)]

    private static func reading(_ file: String, _ arguments: String = "") -> RedisScript {
        RedisScript(lua: file, arguments: "history " + arguments, constants: Self.roles)
    }

    private static func writing(_ file: String) -> RedisScript {
        RedisScript(
            lua: file, keys: "", arguments: "owner history notices notices...",
            layouts: WriteKind.layouts, constants: ["SIZES": WriteKind.sizes])
    }
}
