#define _GNU_SOURCE
#include "ws.h"

#include <stdio.h>
#include <string.h>

size_t ws_request(char *buf, size_t size, const char *path)
{
    return (size_t)snprintf(buf, size,
                            "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Key: bG9hZGdlbiBsb2FkZ2VuIQ==\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
                            path);
}

static uint64_t next_mask(void)
{
    static __thread uint64_t state = 0x9e3779b97f4a7c15u;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 32;
}

size_t ws_frame(uint8_t *p, size_t len)
{
    size_t header = len < 126 ? 6 : len < 65536 ? 8 : 14;
    uint32_t mask = (uint32_t)next_mask();
    uint64_t wide = (uint64_t)mask << 32 | mask;
    uint8_t *payload = p + header;
    const uint8_t *from = p + WS_HEADER;
    size_t i = 0;
    p[0] = 0x82;
    if (len < 126) {
        p[1] = (uint8_t)(0x80 | len);
    } else if (len < 65536) {
        p[1] = 0x80 | 126;
        p[2] = (uint8_t)(len >> 8);
        p[3] = (uint8_t)len;
    } else {
        p[1] = 0x80 | 127;
        for (int b = 0; b < 8; b++)
            p[2 + b] = (uint8_t)((uint64_t)len >> (56 - 8 * b));
    }
    memcpy(payload - 4, &mask, 4);
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(payload + i, &word, 8);
    }
    for (; i < len; i++)
        payload[i] = from[i] ^ (uint8_t)(wide >> (8 * (i & 7)));
    return header + len;
}

ptrdiff_t ws_deframe(struct ws_in *in, uint8_t *p, size_t len)
{
    size_t from = 0, to = 0;
    while (from < len) {
        if (in->left) {
            size_t n = in->left < len - from ? (size_t)in->left : len - from;
            memmove(p + to, p + from, n);
            from += n;
            to += n;
            in->left -= n;
            continue;
        }
        in->head[in->head_len++] = p[from++];
        if (in->head_len < 2)
            continue;
        unsigned size = in->head[1];
        unsigned need = size == 126 ? 4 : size == 127 ? 10 : 2;
        if (in->head[0] != 0x82 || size > 127)
            return -1;
        if (in->head_len < need)
            continue;
        in->left = need == 2 ? size : 0;
        for (unsigned i = 2; i < need; i++)
            in->left = in->left << 8 | in->head[i];
        in->head_len = 0;
    }
    return (ptrdiff_t)to;
}

ptrdiff_t ws_answer(const uint8_t *p, size_t len)
{
    const uint8_t *end = memmem(p, len, "\r\n\r\n", 4);
    if (!end)
        return len > 4096 ? -1 : 0;
    return memcmp(p, "HTTP/1.1 101", 12) ? -1 : end - p + 4;
}
