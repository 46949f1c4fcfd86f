#include "tls.h"
#include "util.h"

#ifdef LOADGEN_TLS
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context;

void tls_init(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context)
        die("OpenSSL: no context");
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
}

void *tls_open(int fd)
{
    SSL *session = SSL_new(context);
    if (!session || SSL_set_fd(session, fd) != 1)
        die("OpenSSL: no session");
    SSL_set_connect_state(session);
    return session;
}

void tls_close(void *session)
{
    SSL_free(session);
}

static ssize_t outcome(SSL *session, int n)
{
    if (n > 0)
        return n;
    int error = SSL_get_error(session, n);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else
        errno = ECONNRESET;
    ERR_clear_error();
    return -1;
}

ssize_t tls_send(void *session, const void *buf, size_t len)
{
    return outcome(session, SSL_write(session, buf, len > 1 << 20 ? 1 << 20 : (int)len));
}

ssize_t tls_recv(void *session, void *buf, size_t len)
{
    return outcome(session, SSL_read(session, buf, len > 1 << 20 ? 1 << 20 : (int)len));
}

#else

void tls_init(void)
{
    die("--tls: built without OpenSSL (apt-get install libssl-dev, then build it again)");
}

void *tls_open(int fd)
{
    (void)fd;
    return NULL;
}

void tls_close(void *session)
{
    (void)session;
}

ssize_t tls_send(void *session, const void *buf, size_t len)
{
    (void)session, (void)buf, (void)len;
    return -1;
}

ssize_t tls_recv(void *session, void *buf, size_t len)
{
    (void)session, (void)buf, (void)len;
    return -1;
}
#endif
