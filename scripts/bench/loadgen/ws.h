/* WebSocket between the MQTT bytes of a connection and TCP: the client's half
 * of RFC 6455, as little of it as a benchmark needs. Nothing here reads or
 * writes the network.
 */
#ifndef LOADGEN_WS_H
#define LOADGEN_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_HEADER 14 /* of a client's largest frame: 2, 8 for the length, 4 for the mask */

/* What a connection keeps of the frames it receives. */
struct ws_in {
    uint64_t left;      /* payload bytes of the current frame still to come */
    uint8_t head[10];   /* a header that came in part */
    uint8_t head_len;
    bool upgrading;     /* the answer to the upgrade has not come whole */
};

/* The request, for a path; returns its length. */
size_t ws_request(char *buf, size_t size, const char *path);

/* Make one masked binary frame of the `len` bytes at p + WS_HEADER; it begins
 * at p and its length is returned. */
size_t ws_frame(uint8_t *p, size_t len);

/* Take the frames in p[0..len) apart: their payload moves to the beginning of
 * p, and its length is returned. -1: a frame that a broker must not send, or
 * that says goodbye. */
ptrdiff_t ws_deframe(struct ws_in *in, uint8_t *p, size_t len);

/* The length of the answer's head once it is whole, 0 before, -1: refused. */
ptrdiff_t ws_answer(const uint8_t *p, size_t len);

#endif
