// The floor under every figure of `confab bench`: what a chat server costs when it is no chat server.
//
// It upgrades to WebSocket whoever asks for /g/<group>, and gives each data frame of a connection to all connections of the group, its
// sender too, with one send() each; with --coalesce what one turn of epoll brought leaves in one send() per connection. It checks,
// numbers and keeps nothing. With --redis several of them are the floor under a cluster: a frame is kept by a script of the Redis on that
// port, in the group's stream, which publishes it to all of them, and goes to connections only when it comes from there; nobody owns a
// group, nothing is repeated, and there is no answer. With --of each group has an owner among them: what others hear of it they first
// publish to that one, which has it kept, and gives it to its connections when Redis answers; the script publishes it to the others alone.
// Linux and its C library only, one thread, 127.0.0.1 only.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    headerMax = 14,                 // RFC 6455 section 5.2, with a mask
    readMax = 128 << 10,
    messageMax = 1 << 20,           // a longer one ends its connection
    backlogMax = 64 << 20,          // so does a reader that is further behind
    groupSlots = 1 << 14,
    turnEvents = 512,
    nameMax = 255,                  // of a group
};

typedef struct { uint8_t *bytes; size_t count, room; } Bytes;

typedef struct Group {
    char *name;
    int *members;                   // descriptors
    size_t count, room;
    Bytes turn;                     // --coalesce: the frames of this turn
    struct Group *next, *nextDirty;
    bool dirty;
    unsigned owner;                 // --of
} Group;

typedef struct {
    Group *group;                   // NULL until upgraded
    size_t place;                   // in the group's members
    Bytes unread, unsent;
    bool open;
} Client;

static Client *clients;             // by descriptor
static int clientLimit, poller;
static Group *groups[groupSlots], *dirtyGroups;
static bool coalesce;
static int keeper, ear;             // --redis: the connections for commands and for what is published; 0 without
static unsigned place, places;      // --of: which of them this process is, from 0, and how many there are; 0 of them without owners

static void *sure(void *memory) {
    if (!memory) { fputs("rawfan: out of memory\n", stderr); exit(1); }
    return memory;
}

static void put(Bytes *to, const void *bytes, size_t count) {
    if (to->room - to->count < count) {
        to->room = (to->count + count) * 3 / 2;
        to->bytes = sure(realloc(to->bytes, to->room));
    }
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

static void drop(Bytes *all) {
    free(all->bytes);
    *all = (Bytes){0};
}

// ---- The handshake: base64(SHA-1(key + GUID)), RFC 6455 section 4.2.2.

static uint32_t turnLeft(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

// FIPS 180-4, of a text that fits in two blocks with its padding.
static void sha1(const char *text, size_t count, uint8_t digest[20]) {
    static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t padded[128] = {0};
    size_t end = count + 9 <= 64 ? 64 : 128;
    memcpy(padded, text, count);
    padded[count] = 0x80;
    padded[end - 2] = (uint8_t)(count * 8 >> 8);
    padded[end - 1] = (uint8_t)(count * 8);
    for (const uint8_t *block = padded; block < padded + end; block += 64) {
        uint32_t schedule[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        for (int t = 0; t < 80; t++) {
            if (t < 16) {
                uint32_t word;
                memcpy(&word, block + 4 * t, 4);
                schedule[t] = ntohl(word);
            } else {
                schedule[t] = turnLeft(schedule[t - 3] ^ schedule[t - 8] ^ schedule[t - 14] ^ schedule[t - 16], 1);
            }
            int phase = t / 20;
            uint32_t mixed = phase == 0 ? d ^ (b & (c ^ d)) : phase == 2 ? (b & c) | (d & (b | c)) : b ^ c ^ d;
            uint32_t sum = turnLeft(a, 5) + mixed + e + constants[phase] + schedule[t];
            e = d, d = c, c = turnLeft(b, 30), b = a, a = sum;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
    }
    for (int i = 0; i < 5; i++) {
        uint32_t word = htonl(state[i]);
        memcpy(digest + 4 * i, &word, 4);
    }
}

static void base64(const uint8_t digest[20], char text[29]) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int held = 0, out = 0;
    for (int i = 0; i < 20; i++) {
        bits = bits << 8 | digest[i];
        for (held += 8; held >= 6; text[out++] = letters[bits >> held & 63]) held -= 6;
    }
    text[out++] = letters[bits << (6 - held) & 63];
    text[out++] = '=';
    text[out] = 0;
}

// ---- Connections.

static void watch(int descriptor, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    epoll_ctl(poller, operation, descriptor, &event);
}

static void leave(int descriptor) {
    Client *client = &clients[descriptor];
    if (client->group) {
        int last = client->group->members[--client->group->count];
        client->group->members[client->place] = last;
        clients[last].place = client->place;
    }
    drop(&client->unread);
    drop(&client->unsent);
    *client = (Client){0};
    close(descriptor);
}

// Never ends a connection, because a group is being walked: a broken one is reported by epoll in its own time.
static void give(int descriptor, const uint8_t *bytes, size_t count) {
    Client *client = &clients[descriptor];
    size_t sent = 0;
    if (!client->unsent.count) {
        ssize_t result = send(descriptor, bytes, count, MSG_NOSIGNAL);
        if (result == (ssize_t)count) return;
        if (result < 0 && errno != EAGAIN) return;
        if (result > 0) sent = (size_t)result;
        watch(descriptor, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    if (client->unsent.count + count - sent > backlogMax) shutdown(descriptor, SHUT_RDWR);
    else put(&client->unsent, bytes + sent, count - sent);
}

static void giveRest(int descriptor) {
    Bytes *rest = &clients[descriptor].unsent;
    ssize_t sent = send(descriptor, rest->bytes, rest->count, MSG_NOSIGNAL);
    if (sent <= 0) return;
    rest->count -= (size_t)sent;
    memmove(rest->bytes, rest->bytes + sent, rest->count);
    if (rest->count) return;
    drop(rest);
    watch(descriptor, EPOLLIN, EPOLL_CTL_MOD);
}

// ---- Groups.

static Group *groupNamed(const char *name, size_t count) {
    size_t hash = 5381;
    for (size_t i = 0; i < count; i++) hash = hash * 33 + (uint8_t)name[i];
    size_t slot = hash % groupSlots;
    for (Group *group = groups[slot]; group; group = group->next) {
        if (!strncmp(group->name, name, count) && !group->name[count]) return group;
    }
    Group *group = sure(calloc(1, sizeof *group));
    group->name = sure(strndup(name, count));
    if (places) group->owner = (unsigned)(hash % places);
    group->next = groups[slot];
    return groups[slot] = group;
}

static void join(int descriptor, Group *group) {
    if (group->count == group->room) {
        group->room = group->room * 2 + 4;
        group->members = sure(realloc(group->members, group->room * sizeof *group->members));
    }
    clients[descriptor].group = group;
    clients[descriptor].place = group->count;
    group->members[group->count++] = descriptor;
}

static void giveAll(const Group *group, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < group->count; i++) give(group->members[i], bytes, count);
}

static void fanOut(Group *group, const uint8_t *frame, size_t count) {
    if (!coalesce) return giveAll(group, frame, count);
    put(&group->turn, frame, count);
    if (group->dirty) return;
    group->dirty = true;
    group->nextDirty = dirtyGroups;
    dirtyGroups = group;
}

static void endTurn(void) {
    for (; dirtyGroups; dirtyGroups = dirtyGroups->nextDirty) {
        giveAll(dirtyGroups, dirtyGroups->turn.bytes, dirtyGroups->turn.count);
        dirtyGroups->turn.count = 0;
        dirtyGroups->dirty = false;
    }
}

// ---- By Redis.

// As in redis.sh: what no store can do without, and a PUBLISH: one for all processes, or for each that does not own the group.
static const char keepScript[] =
    "if redis.call('HGET',KEYS[1],'epoch')~='7' then return redis.error_reply('fenced') end "
    "local head=tonumber(redis.call('HGET',KEYS[2],'head') or '0')+1 "
    "redis.call('XADD',KEYS[3],'MAXLEN','~',1000,head..'-0','u',ARGV[1],'x',ARGV[2]) "
    "redis.call('HSET',KEYS[2],'head',head) "
    "for at=3,#ARGV do redis.call('PUBLISH',ARGV[at],ARGV[2]) end return 0";
static char keepHash[41];
static Bytes commands, published;
static Bytes asked;                 // --of: the letters that Redis has not answered, each behind its length
static size_t answered;             // bytes of the answer that is coming
static Bytes readers;               // the channels that the script publishes in, as words of its command
static unsigned readerCount;

static void failRedis(const char *why) {
    fprintf(stderr, "rawfan: Redis: %s\n", why);
    exit(1);
}

static void putWord(Bytes *to, const void *word, size_t count) {
    char head[32];
    put(to, head, (size_t)sprintf(head, "$%zu\r\n", count));
    put(to, word, count);
    put(to, "\r\n", 2);
}

static void putCommand(Bytes *to, int count, const char *const words[]) {
    char head[32];
    put(to, head, (size_t)sprintf(head, "*%d\r\n", count));
    for (int i = 0; i < count; i++) putWord(to, words[i], strlen(words[i]));
}

static void sendCommands(int descriptor) {
    for (size_t sent = 0; sent < commands.count;) {
        ssize_t result = send(descriptor, commands.bytes + sent, commands.count - sent, MSG_NOSIGNAL);
        if (result < 0) failRedis(strerror(errno));
        sent += (size_t)result;
    }
    commands.count = 0;
}

static int connectRedis(uint16_t port) {
    int yes = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address)) failRedis(strerror(errno));
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return descriptor;
}

// Without owners all have one.
static void mailOf(unsigned process, char name[16]) { snprintf(name, 16, places ? "mail%u" : "mail", process); }

static void openRedis(uint16_t port) {
    char reply[128] = {0};
    keeper = connectRedis(port);
    putCommand(&commands, 4, (const char *[]){"HSET", "lease", "epoch", "7"});
    sendCommands(keeper);
    if (recv(keeper, reply, sizeof reply - 1, 0) <= 0 || *reply != ':') failRedis(reply);
    putCommand(&commands, 3, (const char *[]){"SCRIPT", "LOAD", keepScript});
    sendCommands(keeper);
    if (recv(keeper, reply, sizeof reply - 1, 0) <= 0 || sscanf(reply, "$40\r\n%40s", keepHash) != 1) failRedis(reply);
    ear = connectRedis(port);
    char mail[16];
    for (unsigned process = 0; process < (places ? places : 1); process++) {
        if (places && process == place) continue;
        mailOf(process, mail);
        putWord(&readers, mail, strlen(mail));
        readerCount++;
    }
    mailOf(place, mail);
    putCommand(&commands, 2, (const char *[]){"SUBSCRIBE", mail});
    sendCommands(ear);
    watch(keeper, EPOLLIN, EPOLL_CTL_ADD);
    watch(ear, EPOLLIN, EPOLL_CTL_ADD);
}

// The letter is the group's name, a line's end, and the frame.
static void keep(const char *name, size_t nameCount, const uint8_t *letter, size_t count) {
    char head[nameMax + 8];
    put(&commands, head, (size_t)sprintf(head, "*%u\r\n", 8 + readerCount));
    putWord(&commands, "EVALSHA", 7);
    putWord(&commands, keepHash, 40);
    putWord(&commands, "3", 1);
    putWord(&commands, "lease", 5);
    putWord(&commands, head, (size_t)sprintf(head, "conv:%.*s", (int)nameCount, name));
    putWord(&commands, head, (size_t)sprintf(head, "log:%.*s", (int)nameCount, name));
    putWord(&commands, "u123", 4);
    putWord(&commands, letter, count);
    put(&commands, readers.bytes, readers.count);
    if (!places) return;
    put(&asked, &count, sizeof count);
    put(&asked, letter, count);
}

static void keepOrPass(const Group *group, const uint8_t *frame, size_t count) {
    static uint8_t letter[nameMax + 1 + headerMax + messageMax];
    size_t name = strlen(group->name);
    memcpy(letter, group->name, name);
    letter[name] = '\n';
    memcpy(letter + name + 1, frame, count);
    count += name + 1;
    if (!places || group->owner == place) return keep(group->name, name, letter, count);
    char mail[16];
    mailOf(group->owner, mail);
    putCommand(&commands, 3, (const char *[]){"CLIENT", "REPLY", "SKIP"});
    put(&commands, "*3\r\n", 4);
    putWord(&commands, "PUBLISH", 7);
    putWord(&commands, mail, strlen(mail));
    putWord(&commands, letter, count);
}

// A line of a reply that says how long what follows is; -1 where it has not all come.
static long lengthAt(const Bytes *from, size_t *at) {
    uint8_t *end = memmem(from->bytes + *at, from->count - *at, "\r\n", 2);
    if (!end) return -1;
    long length = strtol((char *)from->bytes + *at + 1, NULL, 10);
    *at = (size_t)(end + 2 - from->bytes);
    return length;
}

// Its owner has it kept first; anybody may have a connection that it goes to.
static void takeLetter(const uint8_t *letter, size_t count, bool isKept) {
    const uint8_t *end = memchr(letter, '\n', count);
    if (!end) return;
    size_t name = (size_t)(end - letter);
    Group *group = groupNamed((const char *)letter, name);
    if (places && !isKept && group->owner == place) keep(group->name, name, letter, count);
    else fanOut(group, end + 1, count - name - 1);
}

// One of ["message", channel, letter], or ["subscribe", channel, number]; false where it has not all come.
static bool takePublished(size_t *from) {
    size_t at = *from, start = 0, count = 0;
    if (lengthAt(&published, &at) != 3) return false;
    for (int word = 0; word < 3; word++) {
        bool isText = at < published.count && published.bytes[at] == '$';
        long length = lengthAt(&published, &at);
        if (length < 0) return false;
        start = at, count = isText ? (size_t)length : 0;
        if (isText) at += count + 2;
        if (at > published.count) return false;
    }
    *from = at;
    takeLetter(published.bytes + start, count, false);
    return true;
}

// Scripts are answered in their order.
static void takeAnswers(const uint8_t *replies, size_t count) {
    static const char kept[] = ":0\r\n";
    size_t at = 0, length;
    for (size_t i = 0; i < count; i++) {
        if (replies[i] != (uint8_t)kept[answered]) failRedis((char *)replies);
        answered = (answered + 1) % 4;
        if (answered || !places) continue;
        memcpy(&length, asked.bytes + at, sizeof length);
        takeLetter(asked.bytes + at + sizeof length, length, true);
        at += sizeof length + length;
    }
    if (!at) return;
    asked.count -= at;
    memmove(asked.bytes, asked.bytes + at, asked.count);
}

static void hear(int descriptor) {
    static uint8_t buffer[readMax];
    ssize_t got = recv(descriptor, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) failRedis("the connection ended");
    if (descriptor == keeper) return takeAnswers(buffer, (size_t)got);
    size_t at = 0;
    put(&published, buffer, (size_t)got);
    while (at < published.count && takePublished(&at)) {}
    published.count -= at;
    memmove(published.bytes, published.bytes + at, published.count);
}

// ---- What clients say. Both answer with the bytes they are done with; -1 ends the connection.

static ssize_t upgrade(int descriptor, char *text, size_t count) {
    char *end = memmem(text, count, "\r\n\r\n", 4);
    if (!end) return count > 16384 ? -1 : 0;
    *end = 0;
    char *key = strcasestr(text, "\r\nsec-websocket-key:"), proof[64 + 37], accept[29], reply[160];
    if (strncmp(text, "GET /g/", 7) || !key) return -1;
    key += strlen("\r\nsec-websocket-key:");
    key += strspn(key, " \t");
    size_t keyCount = strcspn(key, " \t\r");
    if (keyCount > 64) return -1;
    uint8_t digest[20];
    snprintf(proof, sizeof proof, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)keyCount, key);
    sha1(proof, keyCount + 36, digest);
    base64(digest, accept);
    int length = snprintf(reply, sizeof reply,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    give(descriptor, (uint8_t *)reply, (size_t)length);
    size_t nameCount = strcspn(text + 7, " ?");
    if (nameCount > nameMax) return -1;
    join(descriptor, groupNamed(text + 7, nameCount));
    return end + 4 - text;
}

static ssize_t takeFrame(int descriptor, uint8_t *frame, size_t count) {
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
    uint8_t opcode = frame[0] & 15, mask[4], *text = frame + header + 4;
    if (opcode == 8) return -1;
    if (opcode < 8) {
        memcpy(mask, frame + header, 4);
        for (size_t i = 0; i < length; i++) text[i] ^= mask[i & 3];
        // A server's frame is a client's without the mask: the header moves up against the text, and nothing is copied.
        memmove(frame + 4, frame, header);
        frame[5] &= 127;
        if (keeper) keepOrPass(clients[descriptor].group, frame + 4, header + length);
        else fanOut(clients[descriptor].group, frame + 4, header + length);
    }
    return (ssize_t)(header + 4 + length);
}

static void take(int descriptor) {
    static uint8_t buffer[headerMax + messageMax + readMax];
    Client *client = &clients[descriptor];
    size_t kept = client->unread.count, at = 0;
    if (kept) memcpy(buffer, client->unread.bytes, kept);
    ssize_t got = recv(descriptor, buffer + kept, readMax, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return leave(descriptor);
    size_t count = kept + (size_t)got;
    ssize_t done = 1;
    while (done > 0 && at < count) {
        done = client->group ? takeFrame(descriptor, buffer + at, count - at) : upgrade(descriptor, (char *)buffer + at, count - at);
        if (done < 0) return leave(descriptor);
        at += (size_t)done;
    }
    client->unread.count = 0;
    if (at < count) put(&client->unread, buffer + at, count - at);
    else if (client->unread.bytes) drop(&client->unread);
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
        clients[descriptor].open = true;
        watch(descriptor, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static int listenAt(uint16_t *port) {
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
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

int main(int count, char **words) {
    uint16_t port = 9100, redis = 0;
    bool isUnderstood = true;
    for (int i = 1; i < count; i++) {
        char *end = "?";
        if (!strcmp(words[i], "--coalesce")) coalesce = true, end = "";
        else if (!strcmp(words[i], "--port") && ++i < count) port = (uint16_t)strtoul(words[i], &end, 10);
        else if (!strcmp(words[i], "--redis") && ++i < count) redis = (uint16_t)strtoul(words[i], &end, 10);
        else if (!strcmp(words[i], "--of") && ++i < count && sscanf(words[i], "%u/%u", &place, &places) == 2 && place < places) end = "";
        if (*end) isUnderstood = false;
    }
    if (!isUnderstood || (places && !redis)) {
        fputs("usage: rawfan [--port N] [--coalesce] [--redis PORT [--of PLACE/PROCESSES]]\n", stderr);
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    clientLimit = files.rlim_cur < 1 << 20 ? (int)files.rlim_cur : 1 << 20;
    clients = sure(calloc((size_t)clientLimit, sizeof *clients));

    int listener = listenAt(&port);
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
    if (redis) openRedis(redis);
    fprintf(stderr, "ready %u\n", port);
    for (;;) {
        struct epoll_event events[turnEvents];
        int ready = epoll_wait(poller, events, turnEvents, -1);
        bool somebodyWaits = false;
        for (int i = 0; i < ready; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == listener) somebodyWaits = true;
            if (redis && (descriptor == keeper || descriptor == ear)) hear(descriptor);
            if (events[i].events & EPOLLOUT && clients[descriptor].unsent.count) giveRest(descriptor);
            if (events[i].events & ~(uint32_t)EPOLLOUT && clients[descriptor].open) take(descriptor);
        }
        endTurn();
        if (commands.count) sendCommands(keeper);
        // Last, so that no descriptor that was closed in this turn is somebody else's before the turn is over.
        if (somebodyWaits) acceptAll(listener);
    }
}
