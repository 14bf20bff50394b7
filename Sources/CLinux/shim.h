// First of all, so that what these headers include of the C library stays Swift's Glibc's. Else those declarations have two homes,
// and the optimised build, which loads this module first, does not find them in the other.
#pragma clang module import SwiftGlibc

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

// Calls of Linux that its headers show only with _GNU_SOURCE, which Swift's Glibc is built without.
int confab_accept4(int, struct sockaddr *, socklen_t *, int) __asm__("accept4");
int confab_pipe2(int *, int) __asm__("pipe2");
int confab_set_thread_name(pthread_t, const char *) __asm__("pthread_setname_np");
