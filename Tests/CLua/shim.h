// See Sources/net/CLinux/shim.h: this import comes first.
#pragma clang module import SwiftGlibc

#include <lua5.1/lua.h>
#include <lua5.1/lauxlib.h>
#include <lua5.1/lualib.h>
