// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CLinux.h"

#if defined(__linux__)

#include <features.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

int martlet_poller_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int martlet_poller_add(int poller, int descriptor, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = token};
    return epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
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

void martlet_heap_trim(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

#endif
