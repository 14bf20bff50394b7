// This import comes first: the C library types that hiredis includes must stay in the SwiftGlibc
// module. See CLinux/shim.h.
#pragma clang module import SwiftGlibc

#include <string.h>
#include <hiredis/hiredis.h>
#include <hiredis/read.h>

// Swift imports the reader's stack as a tuple, which cannot be indexed.

/// The type of the reply that is being read, as in REDIS_REPLY_STRING. 0 if its first byte has not
/// arrived.
static inline int confab_reader_kind(const redisReader *reader) {
    int kind = reader->ridx < 0 ? 0 : reader->rstack[reader->ridx].type;
    return kind < 0 ? 0 : kind;
}

/// The number of bytes that were fed to the reader but are not part of a value yet.
static inline size_t confab_reader_waiting(const redisReader *reader) {
    return reader->len - reader->pos;
}

/// Whether those bytes begin with a line that does not end within `limit` bytes. hiredis searches
/// for the line end from the start at every feed, so such a line would cost quadratic time.
static inline int confab_reader_endless(const redisReader *reader, size_t limit) {
    size_t waiting = confab_reader_waiting(reader);
    return waiting > limit && memchr(reader->buf + reader->pos, '\r', limit) == NULL;
}
