// First of all, so that what hiredis includes of the C library stays Swift's Glibc's; see CLinux.
#pragma clang module import SwiftGlibc

#include <string.h>
#include <hiredis/hiredis.h>
#include <hiredis/read.h>

// Swift sees the reader's stack as a tuple, which it cannot index.

/// The kind of what is being read, as in REDIS_REPLY_STRING; 0 where not even its first byte is there.
static inline int confab_reader_kind(const redisReader *reader) {
    int kind = reader->ridx < 0 ? 0 : reader->rstack[reader->ridx].type;
    return kind < 0 ? 0 : kind;
}

/// The bytes that were fed and are in no value yet.
static inline size_t confab_reader_waiting(const redisReader *reader) { return reader->len - reader->pos; }

/// Whether those bytes begin with a line that has not ended within `limit` bytes: hiredis looks for its end from the start at every feed.
static inline int confab_reader_endless(const redisReader *reader, size_t limit) {
    size_t waiting = confab_reader_waiting(reader);
    return waiting > limit && memchr(reader->buf + reader->pos, '\r', limit) == NULL;
}
