#include <sqlite3.h>
// statfs, which Swift's Glibc module lacks.
#include <sys/vfs.h>

// Swift imports no variadic functions. Without memory statistics, SQLite's allocations do not take
// a lock that all connections share.
static inline int confab_sqlite_without_memory_statistics(void) {
    return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
