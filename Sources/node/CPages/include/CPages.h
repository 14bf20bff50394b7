#ifndef CPAGES_H
#define CPAGES_H

#include <stddef.h>

/// A file of the web pages, in the program's read-only data.
struct web_file {
    /// Its name without a folder, such as `page.js`.
    const char *name;
    const unsigned char *bytes;
    size_t count;
};

/// Returns the first of all files of the web pages, which are an array.
const struct web_file *web_files(size_t *count);

#endif
