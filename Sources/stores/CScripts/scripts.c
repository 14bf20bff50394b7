// Embeds the Lua files. The compiler reads them, and compiles this file again when one of them
// changes. To add a file, add it to the list.
#include "CScripts.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

#define BEGIN(name) {name, (const unsigned char[]){
#define END , 0}},

static const struct lua_file files[] = {
    BEGIN("amended")
#embed "lua/amended.lua"
    END
    BEGIN("append_once")
#embed "lua/append_once.lua"
    END
    BEGIN("change_lock")
#embed "lua/change_lock.lua"
    END
    BEGIN("claim")
#embed "lua/claim.lua"
    END
    BEGIN("examine")
#embed "lua/examine.lua"
    END
    BEGIN("heartbeat")
#embed "lua/heartbeat.lua"
    END
    BEGIN("list_entries")
#embed "lua/list_entries.lua"
    END
    BEGIN("load")
#embed "lua/load.lua"
    END
    BEGIN("messages")
#embed "lua/messages.lua"
    END
    BEGIN("next_number")
#embed "lua/next_number.lua"
    END
    BEGIN("numbers")
#embed "lua/numbers.lua"
    END
    BEGIN("outbox_begin")
#embed "lua/outbox_begin.lua"
    END
    BEGIN("outbox_bury")
#embed "lua/outbox_bury.lua"
    END
    BEGIN("outbox_complete")
#embed "lua/outbox_complete.lua"
    END
    BEGIN("outbox_count")
#embed "lua/outbox_count.lua"
    END
    BEGIN("outbox_letters")
#embed "lua/outbox_letters.lua"
    END
    BEGIN("outbox_retry")
#embed "lua/outbox_retry.lua"
    END
    BEGIN("outbox_take")
#embed "lua/outbox_take.lua"
    END
    BEGIN("page")
#embed "lua/page.lua"
    END
    BEGIN("propose")
#embed "lua/propose.lua"
    END
    BEGIN("put_ban")
#embed "lua/put_ban.lua"
    END
    BEGIN("recent")
#embed "lua/recent.lua"
    END
    BEGIN("remove_stale")
#embed "lua/remove_stale.lua"
    END
    BEGIN("repair")
#embed "lua/repair.lua"
    END
    BEGIN("restore")
#embed "lua/restore.lua"
    END
    BEGIN("restore_numbers")
#embed "lua/restore_numbers.lua"
    END
    BEGIN("search")
#embed "lua/search.lua"
    END
    BEGIN("stream_sizes")
#embed "lua/stream_sizes.lua"
    END
    BEGIN("summary")
#embed "lua/summary.lua"
    END
    BEGIN("thread")
#embed "lua/thread.lua"
    END
    BEGIN("trial")
#embed "lua/trial.lua"
    END
    BEGIN("unread")
#embed "lua/unread.lua"
    END
    BEGIN("users")
#embed "lua/users.lua"
    END
    BEGIN("window")
#embed "lua/window.lua"
    END
    BEGIN("write")
#embed "lua/write.lua"
    END
    BEGIN("write_with_outbox")
#embed "lua/write_with_outbox.lua"
    END
    BEGIN("amended_since")
#embed "lua/shared/amended_since.lua"
    END
    BEGIN("collect")
#embed "lua/shared/collect.lua"
    END
    BEGIN("entry_size")
#embed "lua/shared/entry_size.lua"
    END
    BEGIN("origin")
#embed "lua/shared/origin.lua"
    END
    BEGIN("outbox_fields")
#embed "lua/shared/outbox_fields.lua"
    END
    BEGIN("outbox_finish")
#embed "lua/shared/outbox_finish.lua"
    END
    BEGIN("outbox_headers")
#embed "lua/shared/outbox_headers.lua"
    END
    BEGIN("outbox_is_mine")
#embed "lua/shared/outbox_is_mine.lua"
    END
    BEGIN("overlays")
#embed "lua/shared/overlays.lua"
    END
    BEGIN("page_end")
#embed "lua/shared/page_end.lua"
    END
    BEGIN("read_page")
#embed "lua/shared/read_page.lua"
    END
    BEGIN("read_range")
#embed "lua/shared/read_range.lua"
    END
    BEGIN("reading")
#embed "lua/shared/reading.lua"
    END
    BEGIN("unread_above")
#embed "lua/shared/unread_above.lua"
    END
    BEGIN("write_annotated")
#embed "lua/shared/write_annotated.lua"
    END
    BEGIN("write_change")
#embed "lua/shared/write_change.lua"
    END
    BEGIN("write_end")
#embed "lua/shared/write_end.lua"
    END
    BEGIN("write_runs")
#embed "lua/shared/write_runs.lua"
    END
};

const struct lua_file *lua_files(size_t *count) {
    *count = sizeof files / sizeof files[0];
    return files;
}
