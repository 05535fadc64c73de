/* LD_PRELOAD: disturbs one process tree as the machine would disturb all.
   $LD_SHIM_STEP: a file with seconds by which CLOCK_REALTIME is set, as by `date -s`; the kernel's stamps move with it.
   $LD_SHIM_DNS: while this file exists, no name can be resolved. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_TIMESTAMPNS
#define SO_TIMESTAMPNS 35
#endif

static long step(void) {
    const char *path = getenv("LD_SHIM_STEP");
    FILE *file = path ? fopen(path, "r") : NULL;
    long seconds = 0;
    if (file != NULL) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += step();
    return result;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    static ssize_t (*real)(int, struct msghdr *, int);
    if (real == NULL) real = dlsym(RTLD_NEXT, "recvmsg");
    ssize_t result = real(fd, message, flags);
    if (result >= 0)
        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part))
            if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_TIMESTAMPNS) {
                struct timespec stamp;
                memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
                stamp.tv_sec += step();
                memcpy(CMSG_DATA(part), &stamp, sizeof stamp);
            }
    return result;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    const char *path = getenv("LD_SHIM_DNS");
    if (path != NULL && access(path, F_OK) == 0) return EAI_AGAIN;
    if (real == NULL) real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, found);
}
