// The floor of `confab bench`: the cost of delivering messages without the work of a chat server.
//
// A client upgrades GET /g/<group> to a WebSocket. The server sends each data frame to all
// connections of the group, including the sender's, with one send() each. With --coalesce it joins
// the frames of one epoll turn and calls send() once per connection. It checks, numbers and stores
// nothing.
//
// With --redis, several processes are the floor of a cluster. A script of the Redis on that port
// appends each frame to the group's stream and publishes it to all processes. They deliver a frame
// only when it arrives from Redis. Groups have no owner, nothing is retried, and no send is
// answered.
//
// With --of, each group has an owner among the processes. Other processes publish their frames to
// the owner. The owner stores a frame, and delivers it to its connections when Redis replies. The
// script publishes it only to the other processes.
//
// Linux and glibc only, one thread, 127.0.0.1 only.
#define _GNU_SOURCE
#include "floor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    unsentMax = 64 << 20,           // bytes; a reader with more unsent bytes is disconnected
    groupSlots = 1 << 14,
    eventsPerTurn = 512,
};

typedef struct {
    Group *group;                   // NULL until the handshake
    size_t memberIndex;             // in the group's members
    Buffer unparsed, unsent;
    bool isOpen;
} Client;

static Client *clients;             // by descriptor
static int clientLimit, poller;
static Group *groups[groupSlots], *groupsWithBatch;
static bool isCoalescing, usesRedis;

// ---- Connections.

void watch(int descriptor, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    epoll_ctl(poller, operation, descriptor, &event);
}

static void disconnect(int descriptor) {
    Client *client = &clients[descriptor];
    if (client->group) {
        int last = client->group->members[--client->group->count];
        client->group->members[client->memberIndex] = last;
        clients[last].memberIndex = client->memberIndex;
    }
    release(&client->unparsed);
    release(&client->unsent);
    *client = (Client){0};
    close(descriptor);
}

// Never disconnects a client, because the caller iterates over a group. epoll reports a broken
// connection later.
static void sendBytes(int descriptor, const uint8_t *bytes, size_t count) {
    Client *client = &clients[descriptor];
    size_t sent = 0;
    if (!client->unsent.count) {
        ssize_t result = send(descriptor, bytes, count, MSG_NOSIGNAL);
        if (result == (ssize_t)count) return;
        if (result < 0 && errno != EAGAIN) return;
        if (result > 0) sent = (size_t)result;
        watch(descriptor, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    if (client->unsent.count + count - sent > unsentMax) shutdown(descriptor, SHUT_RDWR);
    else append(&client->unsent, bytes + sent, count - sent);
}

static void sendUnsent(int descriptor) {
    Buffer *unsent = &clients[descriptor].unsent;
    ssize_t sent = send(descriptor, unsent->bytes, unsent->count, MSG_NOSIGNAL);
    if (sent <= 0) return;
    removeFirst(unsent, (size_t)sent);
    if (unsent->count) return;
    release(unsent);
    watch(descriptor, EPOLLIN, EPOLL_CTL_MOD);
}

// ---- Groups.

Group *groupNamed(const char *name, size_t count) {
    size_t hash = 5381;
    for (size_t i = 0; i < count; i++) hash = hash * 33 + (uint8_t)name[i];
    size_t slot = hash % groupSlots;
    for (Group *group = groups[slot]; group; group = group->next) {
        if (!strncmp(group->name, name, count) && !group->name[count]) return group;
    }
    Group *group = checkMemory(calloc(1, sizeof *group));
    group->name = checkMemory(strndup(name, count));
    if (processCount) group->owner = (unsigned)(hash % processCount);
    group->next = groups[slot];
    return groups[slot] = group;
}

static void join(int descriptor, Group *group) {
    if (group->count == group->capacity) {
        group->capacity = group->capacity * 2 + 4;
        size_t size = group->capacity * sizeof *group->members;
        group->members = checkMemory(realloc(group->members, size));
    }
    clients[descriptor].group = group;
    clients[descriptor].memberIndex = group->count;
    group->members[group->count++] = descriptor;
}

static void sendToMembers(const Group *group, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < group->count; i++) sendBytes(group->members[i], bytes, count);
}

void deliver(Group *group, const uint8_t *frame, size_t count) {
    if (!isCoalescing) return sendToMembers(group, frame, count);
    append(&group->batch, frame, count);
    if (group->hasBatch) return;
    group->hasBatch = true;
    group->nextWithBatch = groupsWithBatch;
    groupsWithBatch = group;
}

static void sendBatches(void) {
    for (; groupsWithBatch; groupsWithBatch = groupsWithBatch->nextWithBatch) {
        Group *group = groupsWithBatch;
        sendToMembers(group, group->batch.bytes, group->batch.count);
        group->batch.count = 0;
        group->hasBatch = false;
    }
}

// ---- Input of clients.

// Returns the bytes of the request; 0 if it is incomplete, -1 to disconnect.
static ssize_t upgrade(int descriptor, char *text, size_t count) {
    char *end = memmem(text, count, "\r\n\r\n", 4);
    if (!end) return count > 16384 ? -1 : 0;
    *end = 0;
    char *key = strcasestr(text, "\r\nsec-websocket-key:"), acceptText[29], reply[160];
    if (strncmp(text, "GET /g/", 7) || !key) return -1;
    key += strlen("\r\nsec-websocket-key:");
    key += strspn(key, " \t");
    size_t keyCount = strcspn(key, " \t\r");
    if (keyCount > 64) return -1;
    acceptKey(key, keyCount, acceptText);
    int length = snprintf(
        reply, sizeof reply,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        acceptText);
    sendBytes(descriptor, (uint8_t *)reply, (size_t)length);
    size_t nameCount = strcspn(text + 7, " ?");
    if (nameCount > nameMax) return -1;
    join(descriptor, groupNamed(text + 7, nameCount));
    return end + 4 - text;
}

// Returns the bytes of the frame; 0 if it is incomplete, -1 to disconnect.
static ssize_t handleFrame(int descriptor, uint8_t *frame, size_t count) {
    if (count < 2) return 0;
    size_t length = frame[1] & 127, header = 2;
    if (!(frame[1] & 128)) return -1;
    if (length > 125) {
        size_t extra = length == 126 ? 2 : 8;
        if (count < 2 + extra) return 0;
        length = 0;
        for (; header < 2 + extra; header++) length = length << 8 | frame[header];
    }
    if (length > messageMax) return -1;
    if (count < header + 4 + length) return 0;
    uint8_t opcode = frame[0] & 15, mask[4], *payload = frame + header + 4;
    if (opcode == 8) return -1;
    if (opcode < 8) {
        memcpy(mask, frame + header, 4);
        for (size_t i = 0; i < length; i++) payload[i] ^= mask[i & 3];
        // A server's frame is a client's frame without the mask. The header moves next to the
        // payload, which is not copied.
        memmove(frame + 4, frame, header);
        frame[5] &= 127;
        Group *group = clients[descriptor].group;
        if (usesRedis) publish(group, frame + 4, header + length);
        else deliver(group, frame + 4, header + length);
    }
    return (ssize_t)(header + 4 + length);
}

static void readClient(int descriptor) {
    static uint8_t buffer[headerMax + messageMax + readMax];
    Client *client = &clients[descriptor];
    size_t count = client->unparsed.count, at = 0;
    if (count) memcpy(buffer, client->unparsed.bytes, count);
    ssize_t result = recv(descriptor, buffer + count, readMax, 0);
    if (result < 0 && errno == EAGAIN) return;
    if (result <= 0) return disconnect(descriptor);
    count += (size_t)result;
    ssize_t parsed = 1;
    while (parsed > 0 && at < count) {
        parsed = client->group ? handleFrame(descriptor, buffer + at, count - at)
                               : upgrade(descriptor, (char *)buffer + at, count - at);
        if (parsed < 0) return disconnect(descriptor);
        at += (size_t)parsed;
    }
    client->unparsed.count = 0;
    if (at < count) append(&client->unparsed, buffer + at, count - at);
    else if (client->unparsed.bytes) release(&client->unparsed);
}

static void acceptAll(int listener) {
    for (;;) {
        int yes = 1, descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) return;
        if (descriptor >= clientLimit) {
            close(descriptor);
            continue;
        }
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        clients[descriptor].isOpen = true;
        watch(descriptor, EPOLLIN, EPOLL_CTL_ADD);
    }
}

// ---- Start.

// Sets the port if it is 0.
static int listenOn(uint16_t *port) {
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)) {
        fprintf(stderr, "rawfan: cannot listen on port %u: %s\n", *port, strerror(errno));
        exit(1);
    }
    getsockname(listener, (struct sockaddr *)&address, &length);
    *port = ntohs(address.sin_port);
    return listener;
}

static bool parsePort(const char *text, uint16_t *port) {
    char *end;
    *port = (uint16_t)strtoul(text, &end, 10);
    return !*end;
}

static bool parseProcess(const char *text) {
    return sscanf(text, "%u/%u", &processIndex, &processCount) == 2 && processIndex < processCount;
}

static bool parseOptions(int count, char **words, uint16_t *port, uint16_t *redisPort) {
    for (int i = 1; i < count; i++) {
        const char *name = words[i];
        if (!strcmp(name, "--coalesce")) {
            isCoalescing = true;
            continue;
        }
        if (++i == count) return false;
        bool isValid = !strcmp(name, "--port")    ? parsePort(words[i], port)
                       : !strcmp(name, "--redis") ? parsePort(words[i], redisPort)
                       : !strcmp(name, "--of")    ? parseProcess(words[i])
                                                  : false;
        if (!isValid) return false;
    }
    return !processCount || *redisPort;
}

// New clients are accepted last. Otherwise a client could receive the descriptor of a connection
// that was closed in this turn, and with it that connection's remaining events.
static void runTurn(int listener) {
    struct epoll_event events[eventsPerTurn];
    int count = epoll_wait(poller, events, eventsPerTurn, -1);
    bool hasNewClients = false;
    for (int i = 0; i < count; i++) {
        int descriptor = events[i].data.fd;
        uint32_t kinds = events[i].events;
        if (descriptor == listener) hasNewClients = true;
        if (usesRedis && isRedis(descriptor)) readRedis(descriptor);
        if (kinds & EPOLLOUT && clients[descriptor].unsent.count) sendUnsent(descriptor);
        if (kinds & ~(uint32_t)EPOLLOUT && clients[descriptor].isOpen) readClient(descriptor);
    }
    sendBatches();
    flushRedis();
    if (hasNewClients) acceptAll(listener);
}

int main(int count, char **words) {
    uint16_t port = 9100, redisPort = 0;
    if (!parseOptions(count, words, &port, &redisPort)) {
        fputs("usage: rawfan [--port N] [--coalesce] [--redis PORT [--of INDEX/COUNT]]\n", stderr);
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    clientLimit = files.rlim_cur < 1 << 20 ? (int)files.rlim_cur : 1 << 20;
    clients = checkMemory(calloc((size_t)clientLimit, sizeof *clients));

    int listener = listenOn(&port);
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
    usesRedis = redisPort != 0;
    if (usesRedis) openRedis(redisPort);
    fprintf(stderr, "ready %u\n", port);
    for (;;) runTurn(listener);
}
