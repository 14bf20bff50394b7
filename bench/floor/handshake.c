// The WebSocket handshake: base64(SHA-1(key + GUID)), RFC 6455 section 4.2.2.
#include "floor.h"
#include <arpa/inet.h>

static uint32_t rotateLeft(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

// FIPS 180-4, for a text that fits into two blocks with its padding.
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
        uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        for (int t = 0; t < 80; t++) {
            if (t < 16) {
                uint32_t word;
                memcpy(&word, block + 4 * t, 4);
                w[t] = ntohl(word);
            } else {
                w[t] = rotateLeft(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
            }
            int phase = t / 20;
            uint32_t mixed = phase == 0   ? d ^ (b & (c ^ d))
                             : phase == 2 ? (b & c) | (d & (b | c))
                                          : b ^ c ^ d;
            uint32_t sum = rotateLeft(a, 5) + mixed + e + constants[phase] + w[t];
            e = d, d = c, c = rotateLeft(b, 30), b = a, a = sum;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
    }
    for (int i = 0; i < 5; i++) {
        uint32_t word = htonl(state[i]);
        memcpy(digest + 4 * i, &word, 4);
    }
}

static void base64(const uint8_t digest[20], char text[29]) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int bitCount = 0, length = 0;
    for (int i = 0; i < 20; i++) {
        bits = bits << 8 | digest[i];
        for (bitCount += 8; bitCount >= 6; text[length++] = letters[bits >> bitCount & 63]) {
            bitCount -= 6;
        }
    }
    text[length++] = letters[bits << (6 - bitCount) & 63];
    text[length++] = '=';
    text[length] = 0;
}

void acceptKey(const char *key, size_t count, char text[29]) {
    char proof[64 + 37];
    uint8_t digest[20];
    snprintf(proof, sizeof proof, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)count, key);
    sha1(proof, count + 36, digest);
    base64(digest, text);
}
