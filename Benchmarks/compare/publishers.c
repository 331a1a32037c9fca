// SPDX-License-Identifier: Apache-2.0
//
// Publishers on 127.0.0.1 that each have a connection and send the next event when the one before is answered.
//
//     publishers --port <port> --path <path> --connections <number> --bytes <size of the data> [--events <number>] [--seconds <number>]
//
// Ends after so many events, or so many seconds; then prints a line of JSON: {"accepted", "refused", "seconds"}.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, ANSWER = 4096 };

struct publisher {
    int fd;
    size_t received;
    char answer[ANSWER];
};

static char *request;
static size_t request_size;
static long sent, accepted, refused, most = -1;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void publish(struct publisher *publisher) {
    if (most >= 0 && sent >= most) return;
    sent++;
    publisher->received = 0;
    // A request is small, and nothing else is on its way.
    if (send(publisher->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) fail("send");
}

// Whether the answer is complete: its head, and as many bytes as that says.
static bool is_answered(struct publisher *publisher) {
    publisher->answer[publisher->received] = 0;
    char *end = strstr(publisher->answer, "\r\n\r\n");
    if (!end) return false;
    char *length = strcasestr(publisher->answer, "\r\ncontent-length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return publisher->received >= (size_t)(end + 4 - publisher->answer) + body;
}

static void receive(struct publisher *publisher) {
    ssize_t count = recv(publisher->fd, publisher->answer + publisher->received, ANSWER - 1 - publisher->received, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) fail("recv");
    publisher->received += count;
    if (!is_answered(publisher)) return;
    if (!strncmp(publisher->answer, "HTTP/1.1 2", 10)) accepted++;
    else refused++;
    publish(publisher);
}

int main(int count, char **arguments) {
    int port = 0, connections = 1, bytes = 200;
    double seconds = 1e9;
    const char *path = "/";
    static const struct option options[] = {
        {"port", 1, 0, 'p'}, {"path", 1, 0, 'u'}, {"connections", 1, 0, 'c'},
        {"bytes", 1, 0, 'b'}, {"events", 1, 0, 'e'}, {"seconds", 1, 0, 's'}, {0}};
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;)
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'c': connections = atoi(optarg); break;
        case 'b': bytes = atoi(optarg); break;
        case 'e': most = atol(optarg); break;
        case 's': seconds = atof(optarg); break;
        default: return 2;
        }
    char *data = malloc(bytes + 1);
    memset(data, 'x', bytes);
    data[bytes] = 0;
    request_size = asprintf(
        &request, "POST %s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: %d\r\n\r\n%s", path, port, bytes, data);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int poll_fd = epoll_create1(0);
    struct publisher *publishers = calloc(connections, sizeof *publishers);
    for (int number = 0; number < connections; number++) {
        struct publisher *publisher = &publishers[number];
        publisher->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(publisher->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = publisher};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, publisher->fd, &event);
    }
    double start = now();
    for (int number = 0; number < connections; number++) publish(&publishers[number]);
    while (now() - start < seconds && (most < 0 || accepted + refused < most)) {
        struct epoll_event events[BATCH];
        int ready = epoll_wait(poll_fd, events, BATCH, 100);
        for (int index = 0; index < ready; index++) receive(events[index].data.ptr);
    }
    printf("{\"accepted\": %ld, \"refused\": %ld, \"seconds\": %.3f}\n", accepted, refused, now() - start);
}
