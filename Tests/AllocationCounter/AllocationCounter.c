#define _GNU_SOURCE
#include "AllocationCounter.h"

#include <errno.h>
#include <stddef.h>

// The C library calls the program's `malloc` if it has one, and keeps its own under other names.
// So all allocations of the test binary, including the Swift runtime's, use these functions.

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#ifndef HAS_SANITIZER

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static __thread unsigned long count;

void *malloc(size_t size) {
    count++;
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count++;
    return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size) {
    count++;
    return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
    count++;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    void *memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *block = memory;
    return 0;
}

void free(void *block) {
    __libc_free(block);
}

_Bool allocation_counter_works(void) {
    // Volatile, because the compiler would remove the pair otherwise.
    unsigned long before = count;
    void *volatile block = malloc(1);
    free(block);
    return count != before;
}

unsigned long allocation_counter_count(void) { return count; }

#else

_Bool allocation_counter_works(void) { return 0; }
unsigned long allocation_counter_count(void) { return 0; }

#endif
