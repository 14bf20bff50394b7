// First of all, so that what <liburing.h> includes of the C library stays Swift's Glibc's.
#pragma clang module import SwiftGlibc

#include <stdint.h>
#include <liburing.h>
