// SPDX-License-Identifier: Apache-2.0
//
// A herd of subscribers on 127.0.0.1 that may each ask for something else, and stay until told to go.
//
//     herd --port <port> --path <path> --connections <number> --rate <connections a second> [--events <number>]
//
// "%d" in the path becomes the number of the subscriber. Once every one is answered and has received so many events (none, if
// nothing is said), or has failed, or nothing has happened for a while, a line of JSON is printed: {"connected", "failed",
// "seconds"}. The end of standard input ends the herd, with a second line: {"events", "closed"}, the events that all of them
// received and how many subscribers the server has closed.

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

enum { BATCH = 512, PATIENCE = 30 /* seconds */ };
enum state { CONNECTING, ASKING, OPEN, GONE };

struct subscriber {
    int fd;
    enum state state;
    int matched;   // how many bytes of `field` the latest ones are
    int events;    // how many it has received
};

static const char field[] = "\ndata:";   // what each event has once
static struct sockaddr_in address = {.sin_family = AF_INET};
static const char *path = "/";
static int poll_fd, wanted, connected, failed, closed;
static long events;
static double last_change;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void end(struct subscriber *subscriber) {
    if (subscriber->state == OPEN) closed++;
    if (subscriber->state != OPEN || subscriber->events < wanted) failed++;
    close(subscriber->fd);
    subscriber->state = GONE;
    last_change = now();
}

static void start(struct subscriber *subscriber) {
    subscriber->state = CONNECTING;
    subscriber->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = subscriber};
    if (connect(subscriber->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        end(subscriber);
    else if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, subscriber->fd, &event) < 0)
        end(subscriber);
    last_change = now();
}

// Returns false if the connection could not be made.
static bool ask(struct subscriber *subscriber, int number) {
    const char *place = strstr(path, "%d");
    int before = place ? place - path : (int)strlen(path);
    char digits[16] = "", request[2048];
    if (place) snprintf(digits, sizeof digits, "%d", number);
    int length = snprintf(
        request, sizeof request,
        "GET %.*s%s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n",
        before, path, digits, place ? place + 2 : "", ntohs(address.sin_port));
    if (length >= (int)sizeof request) return false;
    subscriber->state = ASKING;
    return send(subscriber->fd, request, length, MSG_NOSIGNAL) == length;
}

// A subscriber is open, or has received an event.
static void check(struct subscriber *subscriber) {
    if (subscriber->events != wanted) return;
    connected++;
    last_change = now();
}

static void count_events(struct subscriber *subscriber, const char *bytes, ssize_t count) {
    for (const char *next = bytes, *end = bytes + count; next < end; next++) {
        if (!subscriber->matched && !(next = memchr(next, field[0], end - next))) return;
        if (*next == field[subscriber->matched]) subscriber->matched++;
        else subscriber->matched = *next == field[0];
        if (subscriber->matched < (int)sizeof field - 1) continue;
        subscriber->matched = 0;
        subscriber->events++;
        events++;
        check(subscriber);
    }
}

static void receive(struct subscriber *subscriber) {
    static char buffer[1 << 16];
    ssize_t count;
    while ((count = recv(subscriber->fd, buffer, sizeof buffer, 0)) > 0) {
        if (subscriber->state == ASKING) {
            if (count < 12 || memcmp(buffer, "HTTP/1.1 200", 12)) return end(subscriber);
            subscriber->state = OPEN;
            check(subscriber);
        }
        count_events(subscriber, buffer, count);
    }
    if (count == 0 || errno != EAGAIN) end(subscriber);
}

static void handle(struct subscriber *subscriber, int number, unsigned ready) {
    if (subscriber->state == GONE) return;
    if (subscriber->state == CONNECTING && !(ready & EPOLLOUT)) return end(subscriber);
    if (subscriber->state == CONNECTING && !ask(subscriber, number)) return end(subscriber);
    receive(subscriber);
}

static bool input_has_ended(void) {
    char bytes[64];
    return read(STDIN_FILENO, bytes, sizeof bytes) <= 0;
}

static void run(struct subscriber *subscribers, int total, double rate) {
    static struct epoll_event ready[BATCH];
    double began = last_change = now();
    bool has_reported = false;
    int started = 0;
    while (true) {
        while (started < total && started <= (now() - began) * rate) start(&subscribers[started++]);
        bool is_over = connected + failed == total || now() - last_change > PATIENCE;
        if (is_over && !has_reported) {
            double seconds = last_change - began;
            printf("{\"connected\": %d, \"failed\": %d, \"seconds\": %.3f}\n", connected, total - connected, seconds);
            has_reported = true;
        }
        int count = epoll_wait(poll_fd, ready, BATCH, started < total ? 1 : 1000);
        for (int i = 0; i < count; i++) {
            struct subscriber *subscriber = ready[i].data.ptr;
            if (subscriber) handle(subscriber, subscriber - subscribers, ready[i].events);
            else if (input_has_ended()) return;
        }
    }
}

int main(int count, char **arguments) {
    static const struct option options[] = {
        {"port", 1, 0, 'p'}, {"path", 1, 0, 'u'}, {"connections", 1, 0, 'n'}, {"rate", 1, 0, 'r'}, {"events", 1, 0, 'e'},
        {0}};
    int total = 1, option;
    double rate = 1000;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'p') address.sin_port = htons(atoi(optarg));
        else if (option == 'u') path = optarg;
        else if (option == 'n') total = atoi(optarg);
        else if (option == 'r') rate = atof(optarg);
        else if (option == 'e') wanted = atoi(optarg);
        else return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poll_fd = epoll_create1(0);
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &(struct epoll_event){.events = EPOLLIN});
    run(calloc(total, sizeof(struct subscriber)), total, rate);
    printf("{\"events\": %ld, \"closed\": %d}\n", events, closed);
}
