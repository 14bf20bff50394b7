// What the files of rawfan share: byte buffers, groups and the interfaces between the files.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    headerMax = 14,                 // bytes of a masked frame's header, RFC 6455 section 5.2
    messageMax = 1 << 20,           // bytes; a longer message closes its connection
    nameMax = 255,                  // bytes of a group's name
    readMax = 128 << 10,            // bytes of one recv()
};

typedef struct { uint8_t *bytes; size_t count, capacity; } Buffer;

typedef struct Group {
    char *name;
    int *members;                   // descriptors
    size_t count, capacity;         // of members
    Buffer batch;                   // --coalesce: the frames of this turn
    bool hasBatch;
    struct Group *next, *nextWithBatch;
    unsigned owner;                 // --of: the index of the owner's process
} Group;

static inline void *checkMemory(void *memory) {
    if (!memory) { fputs("rawfan: out of memory\n", stderr); exit(1); }
    return memory;
}

static inline void append(Buffer *buffer, const void *bytes, size_t count) {
    if (buffer->capacity - buffer->count < count) {
        buffer->capacity = (buffer->count + count) * 3 / 2;
        buffer->bytes = checkMemory(realloc(buffer->bytes, buffer->capacity));
    }
    memcpy(buffer->bytes + buffer->count, bytes, count);
    buffer->count += count;
}

static inline void removeFirst(Buffer *buffer, size_t count) {
    buffer->count -= count;
    memmove(buffer->bytes, buffer->bytes + count, buffer->count);
}

static inline void release(Buffer *buffer) {
    free(buffer->bytes);
    *buffer = (Buffer){0};
}

// rawfan.c

void watch(int descriptor, uint32_t events, int operation);
Group *groupNamed(const char *name, size_t count);

// Sends a frame to the group's connections of this process: now, or at the end of the turn.
void deliver(Group *group, const uint8_t *frame, size_t count);

// handshake.c

// Writes the value of Sec-WebSocket-Accept for a key of at most 64 bytes.
void acceptKey(const char *key, size_t count, char text[29]);

// redis.c

// --of: the index of this process, and the number of processes; 0 processes if groups have no owner
extern unsigned processIndex, processCount;

void openRedis(uint16_t port);
bool isRedis(int descriptor);
void readRedis(int descriptor);

// Adds the commands that store and publish a frame. flushRedis sends them.
void publish(const Group *group, const uint8_t *frame, size_t count);
void flushRedis(void);
