// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletHTTP
import MartletHooks

/// The options of `martlet serve`, in the order of the help and of docs/options.md.
extension HubSettings {
    static let table =
        listening + history + limits + clientLimits + proxies + publisherKeys + subscriberKeys + access + crossOrigin
        + hooks
        + operations

    /// The option that names the settings file, and therefore cannot be in it.
    static let fileOption = "config"
    /// How the names of the environment variables begin.
    static let variablePrefix = "MARTLET_"

    private static let listening = [
        Setting("host", \.host, .listenAddress, help: "The interface to listen on, or unix: and the path of a socket"),
        Setting("port", \.port, .count(0...65_535), help: "The port to listen on; 0 chooses a free one"),
        Setting(
            "max-connections", \.maxConnections, .count(1...mostConnections),
            default: "the descriptor limit minus \(spareDescriptors)",
            help: "The most connections that are open at the same time"),
        Setting(
            "max-connection-age", \.maxConnectionAge, .duration(.seconds(1) ... .seconds(365 * 86_400)),
            help: "A stream ends after 80 to 100 % of this time, and its client reconnects"),
        Setting(
            "heartbeat", \.heartbeat, .duration(.milliseconds(100) ... .seconds(3600)),
            help: "The time between two signs of life on an idle stream"),
    ]

    /// The ranges of the bounds of history.
    static let eventRange = 1...1_000_000_000
    static let byteRange = (64 << 10)...(1 << 40)
    static let ageRange = Duration.seconds(1) ... .seconds(365 * 86_400)

    private static let history = [
        Setting("log", \.log, .log, help: "The place for history"),
        Setting(
            "store", \.store, .optional(.store, example: .sqlite(path: "hub.db")), default: "none",
            help: "The file for history of a node whose log is Service Bus"),
        Setting(
            "node", \.node, .optional(.nodeName, example: "node-1"), default: "none",
            help: "The subscription of this node, if the log is Service Bus"),
        Setting(
            "durability", \.durability, .durability,
            help: "What an accepted event in a file survives: a power failure (commit), or only a crash of the hub (os)"
        ),
        Setting(
            "history-events", \.historyEvents, .optional(.count(eventRange), example: 100_000),
            default: "100000; in a file 1000000", help: "The most events in history"),
        Setting(
            "history-bytes", \.historyBytes, .optional(.bytes(byteRange), example: 64 << 20),
            default: "64MiB; in a file 1GiB", help: "The most bytes in history"),
        Setting(
            "history-age", \.historyAge,
            .optional(.duration(ageRange), example: .seconds(86_400)),
            default: "1d; in a file 7d", help: "The greatest age of an event in history"),
        Setting(
            "remembered-topics", \.rememberedTopics, .count(1...100_000_000),
            help: "The most topics that have ended, expire or have a writer of which the hub knows that"),
        Setting(
            "state-keys", \.stateKeys, .count(1...100_000_000),
            help: "The most keys with a current value, over all topics"),
        Setting(
            "state-bytes", \.stateBytes, .bytes((64 << 10)...(1 << 40)),
            help: "The most bytes of current values"),
        Setting(
            "latest-topics", \.latestTopics, .selectors(example: "prices/{id}"), default: "none",
            isReloadable: true,
            help: "A list of topics and templates of topics of which only the newest value of each key counts"),
        Setting(
            "skipped-topics", \.skippedTopics, .selectors(example: "cursors/{id}"), default: "none",
            isReloadable: true,
            help: "A list of topics and templates of topics whose slow subscribers skip what they have missed"),
        Setting(
            "retention", \.rules,
            .retentionRules,
            default: "none",
            help: "A table of bounds for each topic that a pattern matches; the first that matches applies"),
    ]

    private static let limits = [
        Setting(
            "window-bytes", \.windowBytes, .bytes((64 << 10)...(1 << 40)),
            help: "The buffer for undelivered live events"),
        Setting(
            "replay-budget", \.replayBudget, .bytes((2 << 20)...(1 << 40)),
            help: "The memory for history on its way to streams that are catching up"),
        Setting(
            "write-timeout", \.writeTimeout, .duration(.seconds(1) ... .seconds(3600)),
            help: "A client that takes nothing, or less than 64 KiB of a waiting answer, for this long is disconnected"),
        Setting(
            "idle-timeout", \.idleTimeout, .duration(.seconds(1) ... .seconds(3600)),
            help:
                "A connection that sends no request, or less than 64 KiB of an unfinished one, for this long is closed"
        ),
        Setting(
            "upload-timeout", \.uploadTimeout, .duration(.seconds(1) ... .seconds(86_400)),
            help: "A live upload that sends nothing for this long is ended"),
        Setting(
            "max-shard-lag", \.maxShardLag, .optional(.bytes((64 << 10)...(1 << 40)), example: 16 << 20),
            default: "half of --window-bytes",
            help: "Publishers wait while more bytes than this are still to be written to clients"),
        Setting(
            "publish-queue", \.publishQueue, .count(0...1_000_000),
            help: "The most publishers that wait at the same time"),
        Setting(
            "publish-timeout", \.publishTimeout, .duration(.zero ... .seconds(3600)),
            help: "The longest time a publisher waits before it gets 503"),
        Setting(
            "shards", \.shards, .count(0...1024), default: "the number of usable processors",
            help: "The number of threads that write to clients (Linux); with 0, the event loops write"),
        Setting(
            "max-topics-per-subscription", \.maxTopicsPerSubscription, .count(1...100_000),
            help: "The most topics and patterns that one subscription names"),
    ]

    /// The range of what one client may have open.
    private static let openRange = 1...1_000_000_000

    private static let clientLimits = [
        Setting(
            "max-connections-per-address", \.clients.connectionsPerAddress, .optional(.count(openRange), example: 100),
            default: "none", isReloadable: true,
            help: "The most connections of one address that are open at the same time"),
        Setting(
            "max-streams-per-principal", \.clients.streamsPerPrincipal, .optional(.count(openRange), example: 10),
            default: "none", isReloadable: true,
            help: "The most streams of one principal that are open at the same time"),
        Setting(
            "max-streams-per-address", \.clients.streamsPerAddress, .optional(.count(openRange), example: 50),
            default: "none", isReloadable: true, help: "The most streams of one address that are open at the same time"),
        Setting(
            "publish-rate-per-principal", \.clients.publishRatePerPrincipal, .optional(.eventRate, example: .tenEvents),
            default: "none", isReloadable: true,
            help: "The events that a principal may publish in a second, and how many at once"),
        Setting(
            "publish-rate-per-address", \.clients.publishRatePerAddress, .optional(.eventRate, example: .tenEvents),
            default: "none", isReloadable: true,
            help: "The events that an address may publish in a second, and how many at once"),
        Setting(
            "publish-bytes-per-principal", \.clients.publishBytesPerPrincipal, .optional(.byteRate, example: .tenPages),
            default: "none", isReloadable: true,
            help: "The bytes that a principal may publish in a second, and how many at once"),
        Setting(
            "publish-bytes-per-address", \.clients.publishBytesPerAddress, .optional(.byteRate, example: .tenPages),
            default: "none", isReloadable: true,
            help: "The bytes that an address may publish in a second, and how many at once"),
        Setting(
            "remembered-clients", \.clients.rememberedClients, .count(1000...100_000_000),
            help: "The most principals and addresses whose publishing is remembered"),
    ]

    private static let proxies = [
        Setting(
            "trusted-proxies", \.trustedProxies, .proxies, default: "none",
            help: "A list of networks whose proxies may name the address of a client"),
        Setting(
            "proxy-protocol", \.proxyProtocol, .flag,
            help: "Each connection of a trusted proxy begins with a header of the PROXY protocol"),
    ]

    private static let publisherKeys = [
        Setting(
            "publisher-key", \.access.publisher.key,
            .optional(.secret, example: SecretText(text: "file:/run/secrets/key")),
            default: "none", isReloadable: true, help: "The key that verifies tokens of publishers"),
        Setting(
            "publisher-alg", \.access.publisher.algorithm, .optional(.algorithm, example: .hs256),
            default: "by the key",
            isReloadable: true, help: "The algorithm that signs tokens of publishers"),
        Setting(
            "publisher-jwks", \.access.publisher.set,
            .optional(.location, example: "https://login.example.com/.well-known/jwks.json"), default: "none",
            isReloadable: true, help: "A key set instead of a key: a URL, or file:PATH"),
        Setting(
            "publisher-audience", \.access.publisher.audiences, .names(example: "https://hub.example.com"),
            default: "none",
            isReloadable: true, help: "A list of audiences; the aud of a publisher's token must name one of them"),
        Setting(
            "publisher-issuer", \.access.publisher.issuers, .names(example: "https://login.example.com/"),
            default: "none",
            isReloadable: true, help: "A list of issuers; the iss of a publisher's token must be one of them"),
    ]

    private static let subscriberKeys = [
        Setting(
            "subscriber-key", \.access.subscriber.key,
            .optional(.secret, example: SecretText(text: "file:/run/secrets/key")),
            default: "none", isReloadable: true, help: "The key that verifies tokens of subscribers"),
        Setting(
            "subscriber-alg", \.access.subscriber.algorithm, .optional(.algorithm, example: .hs256),
            default: "by the key",
            isReloadable: true, help: "The algorithm that signs tokens of subscribers"),
        Setting(
            "subscriber-jwks", \.access.subscriber.set,
            .optional(.location, example: "https://login.example.com/.well-known/jwks.json"), default: "none",
            isReloadable: true, help: "A key set instead of a key: a URL, or file:PATH"),
        Setting(
            "subscriber-audience", \.access.subscriber.audiences, .names(example: "https://hub.example.com"),
            default: "none",
            isReloadable: true, help: "A list of audiences; the aud of a subscriber's token must name one of them"),
        Setting(
            "subscriber-issuer", \.access.subscriber.issuers, .names(example: "https://login.example.com/"),
            default: "none",
            isReloadable: true, help: "A list of issuers; the iss of a subscriber's token must be one of them"),
    ]

    private static let access = [
        Setting(
            "allow-any-audience", \.access.allowsAnyAudience, .flag,
            isReloadable: true, help: "Accept tokens for any application from a key set that has no audience option"),
        Setting(
            "anonymous", \.access.anonymous, .flag,
            isReloadable: true, help: "Clients without a token may subscribe to events that are not private"),
        Setting(
            "roles", \.access.rolesFile, .optional(.file, example: "roles.json"), default: "none",
            isReloadable: true,
            help: "A JSON file that says what the claims of a token allow, instead of the claim mercure"),
        Setting(
            "authorize-url", \.access.authorizeURL, .optional(.url, example: "http://127.0.0.1:3000/authorize"),
            default: "none", help: "A back end that decides what each client may do, instead of tokens"),
        Setting(
            "token-leeway", \.access.leeway, .duration(.zero ... .seconds(300)),
            isReloadable: true, help: "The allowed clock skew between the hub and the token issuer"),
        Setting(
            "ticket-lifetime", \.access.ticketLifetime, .duration(.seconds(1) ... .seconds(3600)),
            help: "The time within which a one-time ticket must be used"),
        Setting(
            "max-tickets", \.access.maxTickets, .count(1...10_000_000),
            help: "The most topics of tickets that are neither used nor expired"),
        Setting(
            "max-tickets-per-principal", \.access.maxTicketsPerPrincipal, .count(1...10_000_000),
            help: "The most of these topics for one principal"),
        Setting("cookie-name", \.access.cookieName, .cookieName, help: "The cookie that can hold the token"),
        Setting(
            "read-only", \.access.readOnly, .flag,
            help: "The hub only streams: every publish over HTTP gets 403"),
        Setting(
            "subscriptions", \.access.subscriptions, .flag,
            help: "Announce and list active subscriptions, to clients that are granted them"),
    ]

    private static let crossOrigin = [
        Setting(
            "cors-origin", \.access.corsOrigins, .origins, default: "none",
            help: "A list of origins whose pages may subscribe"),
        Setting(
            "publish-origin", \.access.publishOrigins, .origins, default: "none",
            isReloadable: true, help: "A list of origins whose pages may publish with a cookie"),
    ]

    private static let hooks = [
        Setting(
            "hook-url", \.hooks.url, .optional(.url, example: "http://127.0.0.1:3000/hooks"), default: "none",
            help: "A back end that learns which topics have subscribers"),
        Setting(
            "hook-topics", \.hooks.topics, .selectors(example: "sensors/{id}"), default: "*",
            help: "A list of topics and templates of topics that hooks are about"),
        Setting(
            "hook-closed", \.hooks.closed, .flag,
            help: "Send a hook for each stream that ends, too, with the reason"),
        Setting(
            "hook-secret", \.hooks.secret,
            .optional(.secret, example: SecretText(text: "file:/run/secrets/hooks")), default: "none",
            help: "The secrets that sign hooks, one in each line"),
        Setting(
            "hook-delay", \.hooks.limits.delay, .duration(.zero ... .seconds(3600)),
            help: "The time that a topic is without subscribers before a hook says so"),
        Setting(
            "hook-timeout", \.hooks.limits.timeout, .duration(.milliseconds(100) ... .seconds(300)),
            help: "The time within which the back end must answer a hook"),
        Setting(
            "hook-queue", \.hooks.limits.queue, .count(1...10_000_000),
            help: "The most hooks that wait for the back end; beyond it, the oldest is dropped"),
        Setting(
            "hook-age", \.hooks.limits.maximumAge, .duration(.seconds(1) ... .seconds(30 * 86_400)),
            help: "The greatest age of a hook that waits for the back end; an older one is dropped"),
        Setting(
            "hook-tracked-topics", \.hooks.limits.trackedTopics, .count(1...100_000_000),
            help: "The most topics with subscribers that hooks are about; further ones are left out"),
    ]

    private static let operations = [
        Setting(
            "metrics-port", \.metricsPort, .optional(.count(0...65_535), example: 9090), default: "none",
            help: "An additional port for /metrics and /health"),
        Setting(
            "grace", \.grace, .duration(.zero ... .seconds(3600)),
            help: "The time over which open streams end on shutdown"),
        Setting(
            "demo", \.demo, .flag, help: "Publish the CPU, memory and load of this machine to system/metrics"),
        Setting("log-level", \.logLevel, .logLevel, isReloadable: true, help: "The least severe level that is logged"),
        Setting("log-format", \.logFormat, .logFormat, help: "How a line of the log is written"),
        Setting("access-log", \.accessLog, .flag, help: "Log each stream when it ends"),
        Setting(
            fileOption, \.configFile, .optional(.file, example: "hub.json"), default: "none",
            help: "The JSON settings file"),
    ]
}
