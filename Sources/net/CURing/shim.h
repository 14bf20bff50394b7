// This import comes first: the C library types that <liburing.h> includes must stay in the
// SwiftGlibc module. See CLinux/shim.h.
#pragma clang module import SwiftGlibc

#include <stdint.h>
#include <liburing.h>
