// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CLinux.h"

#if defined(__linux__)

#include <features.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

int martlet_poller_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int set(int poller, int operation, int descriptor, uint64_t token, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(poller, operation, descriptor, &event);
}

int martlet_poller_add(int poller, int descriptor, uint64_t token) {
    return set(poller, EPOLL_CTL_ADD, descriptor, token, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int martlet_poller_add_reader(int poller, int descriptor, uint64_t token) {
    return set(poller, EPOLL_CTL_ADD, descriptor, token, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

int martlet_poller_rename(int poller, int descriptor, uint64_t token) {
    return set(poller, EPOLL_CTL_MOD, descriptor, token, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

int martlet_poller_watch_writing(int poller, int descriptor, uint64_t token) {
    return set(poller, EPOLL_CTL_MOD, descriptor, token, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int martlet_poller_add_listener(int poller, int listener, uint64_t token) {
    return set(poller, EPOLL_CTL_ADD, listener, token, EPOLLIN | EPOLLEXCLUSIVE);
}

int martlet_poller_remove(int poller, int descriptor) { return set(poller, EPOLL_CTL_DEL, descriptor, 0, 0); }

int martlet_accept(int listener, struct martlet_address *address) {
    socklen_t size = sizeof address->bytes;
    int accepted = accept4(listener, (struct sockaddr *)address->bytes, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    address->family = accepted < 0 ? 0 : ((struct sockaddr *)address->bytes)->sa_family;
    return accepted;
}

int martlet_poller_wait(int poller, struct martlet_event *events, int capacity, int milliseconds) {
    enum { most = 512 };
    struct epoll_event ready[most];
    int count = epoll_wait(poller, ready, capacity < most ? capacity : most, milliseconds);
    for (int i = 0; i < count; i++) {
        uint32_t bits = 0;
        if (ready[i].events & EPOLLIN) bits |= martlet_event_readable;
        if (ready[i].events & EPOLLOUT) bits |= martlet_event_writable;
        if (ready[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) bits |= martlet_event_closed;
        events[i] = (struct martlet_event){.bits = bits, .token = ready[i].data.u64};
    }
    return count;
}

int martlet_signal_create(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int martlet_processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

int64_t martlet_wall_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void martlet_heap_trim(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

#endif
