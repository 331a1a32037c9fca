// SPDX-License-Identifier: Apache-2.0
//
// What the C library of Linux has and its Swift module does not show. Empty elsewhere.

#ifndef MARTLET_CLINUX_H
#define MARTLET_CLINUX_H

#if defined(__linux__)

#include <stdint.h>

/// What became of a descriptor that an epoll instance watches; a set of the bits below.
struct martlet_event {
    uint32_t bits;
    uint64_t token;
};

enum {
    martlet_event_readable = 1,
    martlet_event_writable = 2,
    /// The peer has closed its side, or the connection is broken.
    martlet_event_closed = 4
};

/// A new epoll instance, or -1 with `errno`.
int martlet_poller_create(void);

/// Watches a descriptor, edge-triggered, for everything above, under a token. 0, or -1 with `errno`.
int martlet_poller_add(int poller, int descriptor, uint64_t token);

/// Watches a descriptor, edge-triggered, for everything above but writing, under a token. 0, or -1 with `errno`.
int martlet_poller_add_reader(int poller, int descriptor, uint64_t token);

/// Watches a descriptor that is watched already under another token, and not for writing. 0, or -1 with `errno`.
int martlet_poller_rename(int poller, int descriptor, uint64_t token);

/// Watches a descriptor that is watched already for writing, too. 0, or -1 with `errno`.
int martlet_poller_watch_writing(int poller, int descriptor, uint64_t token);

/// Watches a listening socket, level-triggered. Of several pollers that watch it, a new connection wakes few. 0, or -1
/// with `errno`.
int martlet_poller_add_listener(int poller, int listener, uint64_t token);

/// Watches a descriptor no more. 0, or -1 with `errno`.
int martlet_poller_remove(int poller, int descriptor);

/// The address of the other end of a connection: a `sockaddr_in` or a `sockaddr_in6`, by family.
struct martlet_address {
    int family;
    _Alignas(8) unsigned char bytes[28];
};

/// Accepts a connection, which does not block. The descriptor, or -1 with `errno`.
int martlet_accept(int listener, struct martlet_address *address);

/// Waits for at most so many milliseconds, -1 for ever. The number of events, or -1 with `errno`.
int martlet_poller_wait(int poller, struct martlet_event *events, int capacity, int milliseconds);

/// A new descriptor that becomes readable when it is signalled (eventfd), or -1 with `errno`.
int martlet_signal_create(void);

/// How many processors this process may run on; at least 1.
int martlet_processor_count(void);

/// The time of the wall clock, in milliseconds since 1970.
int64_t martlet_wall_milliseconds(void);

/// Gives free memory of the heap back to the system, where the C library can.
void martlet_heap_trim(void);

#endif
#endif
