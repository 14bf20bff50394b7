// First of all, so that what <uv.h> includes of the C library stays Swift's Glibc's. Else those declarations have two homes,
// and the optimised build, which loads this module first, does not find them in the other.
#pragma clang module import SwiftGlibc

#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <uv.h>

// Calls of Linux that its headers show only with _GNU_SOURCE, which Swift's Glibc is built without.
int confab_accept4(int, struct sockaddr *, socklen_t *, int) __asm__("accept4");
int confab_set_thread_name(pthread_t, const char *) __asm__("pthread_setname_np");

// Casts that Swift does not import: every libuv handle begins as a uv_handle_t does.
static inline void confab_uv_close(void *handle, uv_close_cb then) { uv_close((uv_handle_t *)handle, then); }
static inline void *confab_uv_loop_data(const void *handle) { return ((const uv_handle_t *)handle)->loop->data; }
