#include <sqlite3.h>

// Swift imports no variadic functions. Without statistics every allocation of SQLite's is free of a lock that all connections share.
static inline int confab_sqlite_without_memory_statistics(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }
