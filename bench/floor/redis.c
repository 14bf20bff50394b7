// The floor of a cluster: a script stores each frame in Redis and publishes it to the processes.
#define _GNU_SOURCE
#include "floor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// The minimum of every store, as in redis.sh, and one PUBLISH per channel: one channel for all
// processes, or with --of one for each process that does not own the group.
static const char storeScript[] =
    "if redis.call('HGET',KEYS[1],'epoch')~='7' then return redis.error_reply('fenced') end "
    "local head=tonumber(redis.call('HGET',KEYS[2],'head') or '0')+1 "
    "redis.call('XADD',KEYS[3],'MAXLEN','~',1000,head..'-0','u',ARGV[1],'x',ARGV[2]) "
    "redis.call('HSET',KEYS[2],'head',head) "
    "for at=3,#ARGV do redis.call('PUBLISH',ARGV[at],ARGV[2]) end return 0";
static char storeScriptHash[41];

unsigned processIndex, processCount;

static int commandConnection, subscription;
static Buffer commands, received;
static Buffer unacknowledged;       // --of: length and envelope of each script without a reply
static size_t replyBytes;           // received bytes of the next reply
static Buffer channels;             // the channels of the script's PUBLISH, as its arguments
static unsigned channelCount;

// ---- Commands.

static void failRedis(const char *action, const char *reason) {
    fprintf(stderr, "rawfan: Redis: %s: %s\n", action, reason);
    exit(1);
}

static void appendArgument(Buffer *buffer, const void *bytes, size_t count) {
    char head[32];
    append(buffer, head, (size_t)sprintf(head, "$%zu\r\n", count));
    append(buffer, bytes, count);
    append(buffer, "\r\n", 2);
}

static void appendCommand(int count, const char *const arguments[]) {
    char head[32];
    append(&commands, head, (size_t)sprintf(head, "*%d\r\n", count));
    for (int i = 0; i < count; i++) appendArgument(&commands, arguments[i], strlen(arguments[i]));
}

static void sendCommands(int descriptor) {
    for (size_t sent = 0; sent < commands.count;) {
        size_t count = commands.count - sent;
        ssize_t result = send(descriptor, commands.bytes + sent, count, MSG_NOSIGNAL);
        if (result < 0) failRedis("send", strerror(errno));
        sent += (size_t)result;
    }
    commands.count = 0;
}

void flushRedis(void) { sendCommands(commandConnection); }

// ---- Start.

static int connectRedis(uint16_t port) {
    int yes = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address)) {
        failRedis("connect", strerror(errno));
    }
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return descriptor;
}

// Sends a command and waits for its reply.
static void request(int count, const char *const arguments[], char reply[128]) {
    appendCommand(count, arguments);
    sendCommands(commandConnection);
    ssize_t length = recv(commandConnection, reply, 127, 0);
    if (length <= 0) failRedis(arguments[0], length ? strerror(errno) : "connection closed");
    reply[length] = 0;
}

// Without owners all processes share one channel.
static void formatChannel(unsigned process, char name[16]) {
    snprintf(name, 16, processCount ? "mail%u" : "mail", process);
}

void openRedis(uint16_t port) {
    char reply[128], channel[16];
    commandConnection = connectRedis(port);
    request(4, (const char *[]){"HSET", "lease", "epoch", "7"}, reply);
    if (*reply != ':') failRedis("HSET", reply);
    request(3, (const char *[]){"SCRIPT", "LOAD", storeScript}, reply);
    if (sscanf(reply, "$40\r\n%40s", storeScriptHash) != 1) failRedis("SCRIPT LOAD", reply);
    subscription = connectRedis(port);
    for (unsigned process = 0; process < (processCount ? processCount : 1); process++) {
        if (processCount && process == processIndex) continue;
        formatChannel(process, channel);
        appendArgument(&channels, channel, strlen(channel));
        channelCount++;
    }
    formatChannel(processIndex, channel);
    appendCommand(2, (const char *[]){"SUBSCRIBE", channel});
    sendCommands(subscription);
    watch(commandConnection, EPOLLIN, EPOLL_CTL_ADD);
    watch(subscription, EPOLLIN, EPOLL_CTL_ADD);
}

// ---- Sending. An envelope is the group's name, a newline and the frame.

static void store(const char *name, size_t nameCount, const uint8_t *envelope, size_t count) {
    char text[nameMax + 8];
    append(&commands, text, (size_t)sprintf(text, "*%u\r\n", 8 + channelCount));
    appendArgument(&commands, "EVALSHA", 7);
    appendArgument(&commands, storeScriptHash, 40);
    appendArgument(&commands, "3", 1);
    appendArgument(&commands, "lease", 5);
    appendArgument(&commands, text, (size_t)sprintf(text, "conv:%.*s", (int)nameCount, name));
    appendArgument(&commands, text, (size_t)sprintf(text, "log:%.*s", (int)nameCount, name));
    appendArgument(&commands, "u123", 4);
    appendArgument(&commands, envelope, count);
    append(&commands, channels.bytes, channels.count);
    if (!processCount) return;
    append(&unacknowledged, &count, sizeof count);
    append(&unacknowledged, envelope, count);
}

static void forward(unsigned owner, const uint8_t *envelope, size_t count) {
    char channel[16];
    formatChannel(owner, channel);
    appendCommand(3, (const char *[]){"CLIENT", "REPLY", "SKIP"});
    append(&commands, "*3\r\n", 4);
    appendArgument(&commands, "PUBLISH", 7);
    appendArgument(&commands, channel, strlen(channel));
    appendArgument(&commands, envelope, count);
}

void publish(const Group *group, const uint8_t *frame, size_t count) {
    static uint8_t envelope[nameMax + 1 + headerMax + messageMax];
    size_t nameCount = strlen(group->name);
    memcpy(envelope, group->name, nameCount);
    envelope[nameCount] = '\n';
    memcpy(envelope + nameCount + 1, frame, count);
    count += nameCount + 1;
    if (processCount && group->owner != processIndex) forward(group->owner, envelope, count);
    else store(group->name, nameCount, envelope, count);
}

// ---- Receiving.

// The owner of a group stores an envelope before it delivers it.
static void handleEnvelope(const uint8_t *envelope, size_t count, bool isStored) {
    const uint8_t *end = memchr(envelope, '\n', count);
    if (!end) return;
    size_t nameCount = (size_t)(end - envelope);
    Group *group = groupNamed((const char *)envelope, nameCount);
    bool isOwner = processCount && group->owner == processIndex;
    if (isOwner && !isStored) store(group->name, nameCount, envelope, count);
    else deliver(group, end + 1, count - nameCount - 1);
}

// Reads the number in a line such as "$12\r\n"; -1 if the line is incomplete.
static long parseNumber(const Buffer *buffer, size_t *at) {
    uint8_t *end = memmem(buffer->bytes + *at, buffer->count - *at, "\r\n", 2);
    if (!end) return -1;
    long number = strtol((char *)buffer->bytes + *at + 1, NULL, 10);
    *at = (size_t)(end + 2 - buffer->bytes);
    return number;
}

// Handles ["message", channel, envelope] or ["subscribe", channel, number]; false if incomplete.
static bool handlePush(size_t *from) {
    size_t at = *from, start = 0, count = 0;
    if (parseNumber(&received, &at) != 3) return false;
    for (int part = 0; part < 3; part++) {
        bool isText = at < received.count && received.bytes[at] == '$';
        long number = parseNumber(&received, &at);
        if (number < 0) return false;
        start = at, count = isText ? (size_t)number : 0;
        if (isText) at += count + 2;
        if (at > received.count) return false;
    }
    *from = at;
    handleEnvelope(received.bytes + start, count, false);
    return true;
}

// Redis replies to scripts in their order.
static void handleReplies(const uint8_t *replies, size_t count) {
    static const char expected[] = ":0\r\n";
    size_t at = 0, length;
    for (size_t i = 0; i < count; i++) {
        if (replies[i] != (uint8_t)expected[replyBytes]) failRedis("EVALSHA", (char *)replies);
        replyBytes = (replyBytes + 1) % 4;
        if (replyBytes || !processCount) continue;
        memcpy(&length, unacknowledged.bytes + at, sizeof length);
        handleEnvelope(unacknowledged.bytes + at + sizeof length, length, true);
        at += sizeof length + length;
    }
    if (at) removeFirst(&unacknowledged, at);
}

bool isRedis(int descriptor) {
    return descriptor == commandConnection || descriptor == subscription;
}

void readRedis(int descriptor) {
    static uint8_t buffer[readMax];
    ssize_t result = recv(descriptor, buffer, sizeof buffer, MSG_DONTWAIT);
    if (result < 0 && errno == EAGAIN) return;
    if (result <= 0) failRedis("recv", result ? strerror(errno) : "connection closed");
    if (descriptor == commandConnection) return handleReplies(buffer, (size_t)result);
    size_t at = 0;
    append(&received, buffer, (size_t)result);
    while (at < received.count && handlePush(&at)) {}
    removeFirst(&received, at);
}
