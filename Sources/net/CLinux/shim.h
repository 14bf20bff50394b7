// This import comes first: the C library declarations that these headers include must stay in the
// SwiftGlibc module. Otherwise two modules contain them. The optimised build loads this module
// first and then does not find them in the other one.
#pragma clang module import SwiftGlibc

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

// Linux calls that the headers declare only with _GNU_SOURCE. Swift's Glibc is built without it.
int confab_accept4(int, struct sockaddr *, socklen_t *, int) __asm__("accept4");
int confab_pipe2(int *, int) __asm__("pipe2");
int confab_set_thread_name(pthread_t, const char *) __asm__("pthread_setname_np");
