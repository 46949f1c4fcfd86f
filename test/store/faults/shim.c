// Preloaded into a process that has a store: makes writes to its files fail as a disk does. What fails is read from the file that
// EMQTTD_FAULTS names, anew at each call: "full", "io", "sync", "readonly" or "torn", or nothing.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_mode(const char *mode) {
  const char *control = getenv("EMQTTD_FAULTS");
  if (control == NULL) return 0;
  FILE *file = fopen(control, "re");
  if (file == NULL) return 0;
  char found[32] = "";
  if (fgets(found, sizeof found, file) == NULL) found[0] = 0;
  fclose(file);
  return strcmp(found, mode) == 0;
}

static int is_store_path(const char *path) { return path != NULL && strstr(path, "store.sqlite") != NULL; }

static int is_store(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return is_store_path(path) && strstr(path, "-shm") == NULL;
}

typedef ssize_t (*pwrite_call)(int, const void *, size_t, off64_t);

static ssize_t faulty_pwrite(const char *name, int fd, const void *data, size_t size, off64_t at) {
  pwrite_call real = (pwrite_call)dlsym(RTLD_NEXT, name);
  if (is_store(fd)) {
    if (is_mode("full")) { errno = ENOSPC; return -1; }
    if (is_mode("io")) { errno = EIO; return -1; }
    // Half of a page, and then the power is gone.
    if (size > 1000 && is_mode("torn")) { real(fd, data, size / 2, at); _exit(99); }
  }
  return real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return faulty_pwrite("pwrite", fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return faulty_pwrite("pwrite64", fd, data, size, at); }

static int faulty_sync(const char *name, int fd) {
  if (is_store(fd) && is_mode("sync")) { errno = EIO; return -1; }
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return faulty_sync("fsync", fd); }
int fdatasync(int fd) { return faulty_sync("fdatasync", fd); }

static int faulty_open(const char *name, const char *path, int flags, mode_t mode) {
  if (is_store_path(path) && (flags & (O_RDWR | O_WRONLY | O_CREAT)) && is_mode("readonly")) { errno = EROFS; return -1; }
  return ((int (*)(const char *, int, mode_t))dlsym(RTLD_NEXT, name))(path, flags, mode);
}

static mode_t mode_of(va_list rest, int flags) {
  return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(rest, flags);
  va_end(rest);
  return faulty_open("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(rest, flags);
  va_end(rest);
  return faulty_open("open64", path, flags, mode);
}

static int faulty_openat(const char *name, int at, const char *path, int flags, mode_t mode) {
  if (is_store_path(path) && (flags & (O_RDWR | O_WRONLY | O_CREAT)) && is_mode("readonly")) { errno = EROFS; return -1; }
  return ((int (*)(int, const char *, int, mode_t))dlsym(RTLD_NEXT, name))(at, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(rest, flags);
  va_end(rest);
  return faulty_openat("openat", at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(rest, flags);
  va_end(rest);
  return faulty_openat("openat64", at, path, flags, mode);
}
