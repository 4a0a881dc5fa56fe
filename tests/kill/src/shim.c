/* Stands between a process and the C library, by LD_PRELOAD: counts the calls that change what is
 * below KEEP_KILL_DIR, over all threads, and at the one numbered KEEP_KILL_AT
 *
 *   kill  ends the process in front of it,
 *   torn  writes the first half of what was to be written and ends the process,
 *   eio   has it fail with EIO and do nothing,
 *   full  has it fail with ENOSPC; of a write the first half is written, as on a disk that gets full.
 *
 * A line "go" on the standard output starts the count, or KEEP_KILL_OPENING does so at once. With
 * KEEP_KILL_LOG all calls, their data and
 * the standard output are written there in the order in which they were carried out, one at a time.
 * Memory that is mapped is not seen. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char root[4096];
static size_t root_len;
static const char *how = "";
static long at = -1, count;
static int armed, log_fd = -1, disk_is_full;

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("KEEP_KILL_DIR"), *number = getenv("KEEP_KILL_AT");
    const char *log = getenv("KEEP_KILL_LOG"), *way = getenv("KEEP_KILL_HOW");
    if (dir && strlen(dir) < sizeof root) {
        strcpy(root, dir);
        root_len = strlen(root);
    }
    armed = getenv("KEEP_KILL_OPENING") != NULL;
    if (number) at = atol(number);
    if (way) how = way;
    if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* What is behind the directory in a path, or none if it is elsewhere. */
static const char *inside(const char *path) {
    if (!root_len || strncmp(path, root, root_len) != 0) return NULL;
    if (path[root_len] == '\0') return ".";
    return path[root_len] == '/' ? path + root_len + 1 : NULL;
}

static const char *inside_fd(int fd, char *buffer, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, size - 1);
    if (length < 0) return NULL;
    buffer[length] = '\0';
    return inside(buffer);
}

static void put(const void *bytes, size_t length) {
    const char *rest = bytes;
    while (length > 0) {
        ssize_t wrote = syscall(SYS_write, log_fd, rest, length);
        if (wrote <= 0) abort();
        rest += wrote;
        length -= (size_t)wrote;
    }
}

/* One line, with the path of what it was done to, and behind it the bytes. */
static void note(const char *call, long result, long number, const char *path, const char *to,
                 const void *bytes, size_t length) {
    char line[8400];
    if (log_fd < 0) return;
    int end = snprintf(line, sizeof line, "%s\t%ld\t%ld\t%zu\t%s\t%s\n", call, result, number, length,
                       path, to);
    put(line, (size_t)end);
    put(bytes, length);
}

_Noreturn static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static int is(const char *way) { return strcmp(how, way) == 0; }

/* Whether the call that is next fails, with errno set. */
static int fails(void) {
    if (!armed || ++count != at) return 0;
    if (is("kill")) die();
    if (is("eio")) errno = EIO;
    else if (is("full")) errno = ENOSPC;
    else return 0;
    return 1;
}

static long done(const char *call, long result, long number, const char *path, const char *to) {
    int error = errno;
    note(call, result, number, path, to, "", 0);
    errno = error;
    return result;
}

/* ---- calls with a descriptor ---- */

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t offset, int positioned) {
    char buffer[4200];
    const char *path = inside_fd(fd, buffer, sizeof buffer);
    if (!path && fd != 1)
        return positioned ? syscall(SYS_pwrite64, fd, bytes, length, offset)
                          : syscall(SYS_write, fd, bytes, length);
    pthread_mutex_lock(&turn);
    ssize_t result;
    if (!path) {
        if (length >= 2 && memcmp(bytes, "go", 2) == 0) armed = 1;
        result = syscall(SYS_write, fd, bytes, length);
        note("said", (long)result, 0, "", "", bytes, length);
    } else {
        off_t place = positioned ? offset : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
        size_t half = length / 2;
        int torn = armed && count + 1 == at && (is("torn") || is("full")) && half > 0;
        if (disk_is_full) {
            disk_is_full = 0;
            count++;
            errno = ENOSPC;
            result = -1;
        } else if (torn) {
            count++;
            result = positioned ? syscall(SYS_pwrite64, fd, bytes, half, offset)
                                : syscall(SYS_write, fd, bytes, half);
            if (is("torn")) die();
            disk_is_full = 1;
        } else if (fails()) {
            result = -1;
        } else {
            result = positioned ? syscall(SYS_pwrite64, fd, bytes, length, offset)
                                : syscall(SYS_write, fd, bytes, length);
        }
        int error = errno;
        note("write", (long)result, (long)place, path, "", bytes, result > 0 ? (size_t)result : 0);
        errno = error;
    }
    pthread_mutex_unlock(&turn);
    return result;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t length) { return write_at(fd, bytes, length, 0, 0); }
EXPORT ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return write_at(fd, bytes, length, offset, 1);
}
EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return write_at(fd, bytes, length, offset, 1);
}

static int on_fd(const char *call, long system_call, int fd, long number) {
    char buffer[4200];
    const char *path = inside_fd(fd, buffer, sizeof buffer);
    if (!path) return (int)syscall(system_call, fd, number);
    pthread_mutex_lock(&turn);
    long result = fails() ? -1 : syscall(system_call, fd, number);
    result = done(call, result, number, path, "");
    pthread_mutex_unlock(&turn);
    return (int)result;
}

EXPORT int fsync(int fd) { return on_fd("sync", SYS_fsync, fd, 0); }
EXPORT int fdatasync(int fd) { return on_fd("sync", SYS_fdatasync, fd, 0); }
EXPORT int ftruncate(int fd, off_t length) { return on_fd("truncate", SYS_ftruncate, fd, length); }
EXPORT int ftruncate64(int fd, off64_t length) { return on_fd("truncate", SYS_ftruncate, fd, length); }

/* ---- calls with a path ---- */

static int open_at(int dir, const char *name, int flags, mode_t mode) {
    const char *path = (flags & O_CREAT) ? inside(name) : NULL;
    if (!path) return (int)syscall(SYS_openat, dir, name, flags, mode);
    pthread_mutex_lock(&turn);
    long created = access(name, F_OK) != 0;
    long result = fails() ? -1 : syscall(SYS_openat, dir, name, flags, mode);
    long what = created ? 1 : (flags & O_TRUNC) ? 2 : 0;
    result = done("open", result, what, path, "");
    pthread_mutex_unlock(&turn);
    return (int)result;
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list list; \
        va_start(list, last); \
        mode = va_arg(list, mode_t); \
        va_end(list); \
    }

EXPORT int open(const char *name, int flags, ...) { MODE(flags, flags) return open_at(AT_FDCWD, name, flags, mode); }
EXPORT int open64(const char *name, int flags, ...) {
    MODE(flags, flags)
    return open_at(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}
EXPORT int openat(int dir, const char *name, int flags, ...) { MODE(flags, flags) return open_at(dir, name, flags, mode); }
EXPORT int openat64(int dir, const char *name, int flags, ...) {
    MODE(flags, flags)
    return open_at(dir, name, flags | O_LARGEFILE, mode);
}

EXPORT int rename(const char *from, const char *to) {
    const char *path = inside(from), *other = inside(to);
    if (!path || !other) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&turn);
    long result = fails() ? -1 : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    result = done("rename", result, 0, path, other);
    pthread_mutex_unlock(&turn);
    return (int)result;
}

static int remove_at(const char *call, const char *name, int flags) {
    const char *path = inside(name);
    if (!path) return (int)syscall(SYS_unlinkat, AT_FDCWD, name, flags);
    pthread_mutex_lock(&turn);
    long result = fails() ? -1 : syscall(SYS_unlinkat, AT_FDCWD, name, flags);
    result = done(call, result, 0, path, "");
    pthread_mutex_unlock(&turn);
    return (int)result;
}

EXPORT int unlink(const char *name) { return remove_at("unlink", name, 0); }
EXPORT int rmdir(const char *name) { return remove_at("rmdir", name, AT_REMOVEDIR); }

EXPORT int mkdir(const char *name, mode_t mode) {
    const char *path = inside(name);
    if (!path) return (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    pthread_mutex_lock(&turn);
    long result = fails() ? -1 : syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    result = done("mkdir", result, 0, path, "");
    pthread_mutex_unlock(&turn);
    return (int)result;
}
