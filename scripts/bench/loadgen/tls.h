/* TLS between the bytes of a connection and TCP, by OpenSSL where it is there
 * (LOADGEN_TLS, see the Makefile). No certificate is judged: it is the broker's
 * work that is measured.
 */
#ifndef LOADGEN_TLS_H
#define LOADGEN_TLS_H

#include <stddef.h>
#include <sys/types.h>

/* Once, before the first connection; dies where this was built without TLS. */
void tls_init(void);

/* A client's session on a socket that is connected; the handshake goes with the first bytes. */
void *tls_open(int fd);
void tls_close(void *session);

/* As send and recv, errno included. What is sent again after EAGAIN may have moved. */
ssize_t tls_send(void *session, const void *buf, size_t len);
ssize_t tls_recv(void *session, void *buf, size_t len);

#endif
