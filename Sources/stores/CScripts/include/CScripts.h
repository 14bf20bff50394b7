#ifndef CSCRIPTS_H
#define CSCRIPTS_H

#include <stddef.h>

/// A Lua file, in the program's read-only data.
struct lua_file {
    /// Its name without folder and extension, such as `page`.
    const char *name;
    /// Its text, and a 0.
    const unsigned char *text;
};

/// Returns the first of all Lua files, which are an array.
const struct lua_file *lua_files(size_t *count);

#endif
