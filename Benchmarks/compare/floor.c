// SPDX-License-Identifier: Apache-2.0
//
// The floor: about the least that a server of event streams on epoll can do.
//
//     floor --port <port> --mode each|coalesce
//
// GET (any path) is answered with an event stream. POST (any path) publishes its body, one line of data, to all streams.
// Events that gather while others are sent go out in a send() each, or with "coalesce" in one for all of them.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_SUBSCRIBERS = 1 << 17, MOST_PENDING = 1 << 20, MOST_REQUEST = 1 << 20, BATCH = 512 };

struct bytes {
    char *data;
    size_t length, capacity;
};

struct connection {
    int fd, index;          // its place among the subscribers; -1 if it is none of them
    struct bytes in, out;   // a request so far; what the socket did not take
};

static bool coalesces;
static struct connection *subscribers[MOST_SUBSCRIBERS];
static int subscriber_count;
static struct bytes gathered;   // the events to send in the next pass, each ended by a blank line

static void append(struct bytes *bytes, const void *data, size_t length) {
    if (bytes->length + length >= bytes->capacity) {
        bytes->capacity = (bytes->length + length + 1) * 2;
        bytes->data = realloc(bytes->data, bytes->capacity);
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    bytes->data[bytes->length] = 0;
}

static void remove_first(struct bytes *bytes, size_t length) {
    bytes->length -= length;
    memmove(bytes->data, bytes->data + length, bytes->length);
}

static void release(struct bytes *bytes) {
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static void disconnect(struct connection *connection) {
    if (connection->index >= 0) {
        struct connection *last = subscribers[--subscriber_count];
        subscribers[connection->index] = last;
        last->index = connection->index;
    }
    close(connection->fd);
    release(&connection->in);
    release(&connection->out);
    free(connection);
}

// Sends what is pending. Returns false if the connection is broken.
static bool flush(struct connection *connection) {
    struct bytes *out = &connection->out;
    if (out->length == 0) return true;
    ssize_t sent = send(connection->fd, out->data, out->length, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    remove_first(out, sent);
    if (out->length == 0) release(out);
    return true;
}

// Returns false if the connection is broken, or its client too slow.
static bool deliver(struct connection *connection, const char *data, size_t length) {
    if (connection->out.length == 0) {
        ssize_t sent = send(connection->fd, data, length, MSG_NOSIGNAL);
        if (sent == (ssize_t)length) return true;
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent > 0) data += sent, length -= sent;
    }
    append(&connection->out, data, length);
    return connection->out.length <= MOST_PENDING;
}

// Sends what has gathered. From the last subscriber to the first, since the last takes the place of one that goes.
static void pass(void) {
    char *data = gathered.data, *end = data + gathered.length;
    while (data < end) {
        char *next = coalesces ? end : (char *)memmem(data, end - data, "\n\n", 2) + 2;
        for (int i = subscriber_count; i-- > 0;)
            if (!deliver(subscribers[i], data, next - data)) disconnect(subscribers[i]);
        data = next;
    }
    gathered.length = 0;
}

static bool subscribe(struct connection *connection) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n";
    if (subscriber_count == MOST_SUBSCRIBERS) return false;
    connection->index = subscriber_count;
    subscribers[subscriber_count++] = connection;
    release(&connection->in);
    return deliver(connection, head, sizeof head - 1);
}

static bool publish(struct connection *connection, const char *data, size_t length) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    append(&gathered, "data: ", 6);
    append(&gathered, data, length);
    append(&gathered, "\n\n", 2);
    return deliver(connection, head, sizeof head - 1);
}

// Handles the requests that have arrived as a whole. Returns false if the connection is to be closed.
static bool handle_requests(struct connection *connection) {
    struct bytes *in = &connection->in;
    char *request = in->data, *end = in->data + in->length, *body;
    while ((body = memmem(request, end - request, "\r\n\r\n", 4))) {
        if (*request == 'G') return subscribe(connection);
        *body = 0;   // ends the head for the search
        char *field = strcasestr(request, "\r\nContent-Length:");
        size_t length = field ? strtoul(field + 17, NULL, 10) : 0;
        *body = '\r';
        body += 4;
        if (length > (size_t)(end - body)) break;
        if (!publish(connection, body, length)) return false;
        request = body + length;
    }
    remove_first(in, request - in->data);
    return in->length <= MOST_REQUEST;
}

static bool receive(struct connection *connection) {
    static char buffer[1 << 16];
    ssize_t count;
    while ((count = recv(connection->fd, buffer, sizeof buffer, 0)) > 0) {
        if (connection->index >= 0) continue;   // a subscriber has nothing more to say
        append(&connection->in, buffer, count);
        if (!handle_requests(connection)) return false;
    }
    return count < 0 && errno == EAGAIN;
}

static void accept_all(int listener, int poll) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        connection->index = -1;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);   // accepted sockets inherit it
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, SOMAXCONN) < 0) {
        perror("floor: cannot listen");
        exit(1);
    }
    return listener;
}

int main(int count, char **arguments) {
    static const struct option options[] = {{"port", 1, 0, 'p'}, {"mode", 1, 0, 'm'}, {0}};
    int port = 0, option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'p') port = atoi(optarg);
        else if (option == 'm') coalesces = strcmp(optarg, "coalesce") == 0;
        else return 2;
    }

    int listener = listen_on(port), poll = epoll_create1(0);
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN});
    static struct epoll_event events[BATCH];
    while (true) {
        int ready = epoll_wait(poll, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) accept_all(listener, poll);
            else if (!flush(connection) || !receive(connection)) disconnect(connection);
        }
        pass();
    }
}
