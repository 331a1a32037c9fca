// swift-tools-version: 6.1
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let configuration = product(name: "Configuration", package: "swift-configuration")
    static let coreMetrics = product(name: "CoreMetrics", package: "swift-metrics")
    static let crypto = product(name: "Crypto", package: "swift-crypto")
    static let dequeModule = product(name: "DequeModule", package: "swift-collections")
    static let heapModule = product(name: "HeapModule", package: "swift-collections")
    static let grdb = product(name: "GRDB", package: "GRDB.swift")
    static let histogram = product(name: "Histogram", package: "hdrhistogram-swift")
    static let httpTypes = product(name: "HTTPTypes", package: "swift-http-types")
    static let hummingbird = product(name: "Hummingbird", package: "hummingbird")
    static let hummingbirdCore = product(name: "HummingbirdCore", package: "hummingbird")
    static let hummingbirdHTTP2 = product(name: "HummingbirdHTTP2", package: "hummingbird")
    static let hummingbirdTLS = product(name: "HummingbirdTLS", package: "hummingbird")
    static let hummingbirdTesting = product(name: "HummingbirdTesting", package: "hummingbird")
    static let jwtKit = product(name: "JWTKit", package: "jwt-kit")
    static let logging = product(name: "Logging", package: "swift-log")
    static let metrics = product(name: "Metrics", package: "swift-metrics")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioEmbedded = product(name: "NIOEmbedded", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioHTTPTypes = product(name: "NIOHTTPTypes", package: "swift-nio-extras")
    static let nioHTTPTypesHTTP1 = product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let serviceLifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
}

let package = Package(
    name: "martlet",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "EventStream", targets: ["EventStream"]),
        .library(name: "Martlet", targets: ["Martlet"]),
        .library(name: "MartletClient", targets: ["MartletClient"]),
        .library(name: "MartletValues", targets: ["MartletValues"]),
        .library(name: "MartletHTTP", targets: ["MartletHTTP"]),
        .library(name: "MartletAuth", targets: ["MartletAuth"]),
        .library(name: "MartletMercure", targets: ["MartletMercure"]),
        .library(name: "MartletHooks", targets: ["MartletHooks"]),
        .library(name: "MartletSQLite", targets: ["MartletSQLite"]),
        .library(name: "MartletRedis", targets: ["MartletRedis"]),
        .library(name: "MartletKafka", targets: ["MartletKafka"]),
        .library(name: "MartletServiceBus", targets: ["MartletServiceBus"]),
        .library(name: "MartletMetrics", targets: ["MartletMetrics"]),
        .library(name: "MartletTesting", targets: ["MartletTesting"]),
        .executable(name: "martlet", targets: ["MartletCommand"]),
    ],
    traits: [
        .trait(
            name: "Redis", description: "MartletRedis, the log in a stream of a Redis server. Needs libhiredis-dev."),
        .trait(
            name: "Kafka", description: "MartletKafka, the log in a topic of a Kafka cluster. Needs librdkafka-dev."),
        .trait(
            name: "ServiceBus",
            description: "MartletServiceBus, the log in a topic of Azure Service Bus. Needs libqpid-proton11-dev."),
        .default(enabledTraits: []),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        .target(name: "EventStream", swiftSettings: settings),
        .target(name: "CLinux"),
        .target(name: "MartletSupport", swiftSettings: settings),
        .target(
            name: "MartletOutgoing",
            dependencies: ["MartletSupport", .asyncHTTPClient, .nioCore, .nioHTTP1],
            swiftSettings: settings
        ),
        .target(
            name: "MartletClient",
            dependencies: [
                "EventStream",
                "MartletOutgoing",
                "MartletSupport",
                .asyncHTTPClient,
                .logging,
                .nioCore,
                .nioHTTP1,
                .nioPosix,
                .nioSSL,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Martlet",
            dependencies: [
                .target(name: "CLinux", condition: .when(platforms: [.linux])),
                "EventStream",
                "MartletSupport",
                .dequeModule,
                .logging,
                .coreMetrics,
                .metrics,
                .nioCore,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MartletValues",
            dependencies: ["Martlet", "MartletSupport", .logging],
            swiftSettings: settings
        ),
        .target(
            name: "MartletHTTP",
            dependencies: [
                "EventStream",
                "Martlet",
                "MartletSupport",
                "MartletValues",
                .crypto,
                .dequeModule,
                .httpTypes,
                .hummingbird,
                .hummingbirdCore,
                .logging,
                .nioCore,
                .nioHTTP1,
                .nioHTTPTypes,
                .nioHTTPTypesHTTP1,
                .nioPosix,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MartletAuth",
            dependencies: [
                "Martlet",
                "MartletHTTP",
                "MartletOutgoing",
                "MartletSupport",
                .crypto,
                .httpTypes,
                .jwtKit,
                .logging,
                .nioCore,
                .nioHTTP1,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MartletMercure",
            dependencies: [
                "Martlet",
                "MartletHTTP",
                "MartletSupport",
                .httpTypes,
                .hummingbird,
                .logging,
                .nioCore,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MartletHooks",
            dependencies: [
                "Martlet",
                "MartletOutgoing",
                "MartletSupport",
                .coreMetrics,
                .crypto,
                .dequeModule,
                .heapModule,
                .logging,
                .metrics,
                .nioHTTP1,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MartletSQLite",
            dependencies: [
                "Martlet",
                "MartletSupport",
                .dequeModule,
                .grdb,
                .logging,
            ],
            swiftSettings: settings
        ),
        // No pkgConfig, whose file SwiftPM warns of; the module map names the library.
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"]), .brew(["hiredis"])]),
        .target(
            name: "MartletRedis",
            dependencies: [
                .target(name: "CHiredis", condition: .when(traits: ["Redis"])),
                "Martlet",
                "MartletSupport",
                .logging,
            ],
            resources: ["open", "append", "stream", "take", "tidy", "versions"].map {
                .embedInCode("Scripts/\($0).lua")
            },
            swiftSettings: settings
        ),
        .systemLibrary(name: "CRdkafka", providers: [.apt(["librdkafka-dev"]), .brew(["librdkafka"])]),
        .target(
            name: "MartletKafka",
            dependencies: [
                .target(name: "CRdkafka", condition: .when(traits: ["Kafka"])),
                "Martlet",
                "MartletSupport",
                .dequeModule,
                .logging,
            ],
            swiftSettings: settings
        ),
        .systemLibrary(name: "CProton", providers: [.apt(["libqpid-proton11-dev"]), .brew(["qpid-proton"])]),
        .target(
            name: "MartletServiceBus",
            dependencies: [
                .target(name: "CProton", condition: .when(traits: ["ServiceBus"])),
                "Martlet",
                "MartletSupport",
                .crypto,
                .dequeModule,
                .logging,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MartletMetrics",
            dependencies: [.coreMetrics],
            swiftSettings: settings
        ),
        .target(
            name: "MartletTesting",
            dependencies: [
                "EventStream",
                "Martlet",
                "MartletSupport",
                .hummingbirdTesting,
                .nioCore,
                .nioPosix,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MartletBench",
            dependencies: [
                .target(name: "CLinux", condition: .when(platforms: [.linux])),
                "MartletOutgoing",
                "MartletSupport",
                .histogram,
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "MartletCommand",
            dependencies: [
                .target(name: "CLinux", condition: .when(platforms: [.linux])),
                .target(name: "MartletKafka", condition: .when(traits: ["Kafka"])),
                .target(name: "MartletRedis", condition: .when(traits: ["Redis"])),
                .target(name: "MartletServiceBus", condition: .when(traits: ["ServiceBus"])),
                "EventStream",
                "Martlet",
                "MartletAuth",
                "MartletBench",
                "MartletClient",
                "MartletHTTP",
                "MartletHooks",
                "MartletMercure",
                "MartletMetrics",
                "MartletOutgoing",
                "MartletSQLite",
                "MartletSupport",
                .argumentParser,
                .asyncHTTPClient,
                .configuration,
                .coreMetrics,
                .dequeModule,
                .hummingbird,
                .hummingbirdCore,
                .logging,
                .nioCore,
                .nioHTTP1,
                .nioPosix,
                .serviceLifecycle,
                .unixSignals,
            ],
            resources: [.embedInCode("Serve/Demo/demo.html")],
            swiftSettings: settings
        ),
        .target(
            name: "TestSupport",
            dependencies: [
                "Martlet",
                "MartletHTTP",
                "MartletSupport",
                "MartletTesting",
                .hummingbird,
                .hummingbirdCore,
                .logging,
                .nioCore,
                .nioPosix,
                .serviceLifecycle,
            ],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletBenchTests",
            dependencies: [
                "MartletBench",
                "MartletOutgoing",
                "TestSupport",
                .histogram,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletCommandTests",
            dependencies: [
                .target(name: "MartletRedis", condition: .when(traits: ["Redis"])),
                "EventStream",
                "Martlet",
                "MartletAuth",
                "MartletBench",
                "MartletClient",
                "MartletCommand",
                "MartletHTTP",
                "MartletHooks",
                "MartletOutgoing",
                "MartletSQLite",
                "MartletSupport",
                "MartletTesting",
                "TestSupport",
                .argumentParser,
                .logging,
                .nioCore,
                .serviceLifecycle,
                .unixSignals,
            ],
            swiftSettings: settings
        ),
        .testTarget(name: "MartletSupportTests", dependencies: ["MartletSupport"], swiftSettings: settings),
        .testTarget(
            name: "MartletOutgoingTests",
            dependencies: [
                "MartletOutgoing",
                "MartletTesting",
                "TestSupport",
                .asyncHTTPClient,
                .nioCore,
                .nioHTTP1,
                .nioPosix,
            ],
            swiftSettings: settings
        ),
        .testTarget(name: "EventStreamTests", dependencies: ["EventStream"], swiftSettings: settings),
        .testTarget(
            name: "MartletClientTests",
            dependencies: [
                "EventStream",
                "Martlet",
                "MartletClient",
                "MartletHTTP",
                "MartletMercure",
                "MartletOutgoing",
                "MartletSupport",
                "MartletTesting",
                "TestSupport",
                .asyncHTTPClient,
                .hummingbird,
                .logging,
                .nioCore,
                .nioPosix,
                .nioSSL,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletAuthTests",
            dependencies: [
                "Martlet",
                "MartletAuth",
                "MartletHTTP",
                "MartletOutgoing",
                "MartletSupport",
                "MartletTesting",
                "TestSupport",
                .crypto,
                .httpTypes,
                .hummingbird,
                .hummingbirdCore,
                .jwtKit,
                .logging,
                .nioCore,
                .nioHTTP1,
                .nioPosix,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletHooksTests",
            dependencies: [
                "Martlet",
                "MartletHooks",
                "MartletMetrics",
                "MartletOutgoing",
                "MartletSupport",
                "MartletTesting",
                "TestSupport",
                .coreMetrics,
                .hummingbird,
                .hummingbirdCore,
                .logging,
                .nioCore,
                .nioPosix,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletMercureTests",
            dependencies: [
                "EventStream",
                "Martlet",
                "MartletHTTP",
                "MartletMercure",
                "MartletSupport",
                "MartletTesting",
                "TestSupport",
                .httpTypes,
                .hummingbird,
                .hummingbirdCore,
                .logging,
                .nioCore,
                .nioEmbedded,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletSQLiteTests",
            dependencies: [
                "Martlet",
                "MartletSQLite",
                "MartletSupport",
                "MartletTesting",
                "MartletValues",
                "TestSupport",
                .grdb,
                .logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletRedisTests",
            dependencies: [
                "Martlet",
                "MartletRedis",
                "MartletSupport",
                "MartletTesting",
                "TestSupport",
                .logging,
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "MockKafka",
            dependencies: [.target(name: "CRdkafka", condition: .when(traits: ["Kafka"]))],
            path: "Tests/MockKafka",
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletServiceBusTests",
            dependencies: [
                "Martlet",
                "MartletSQLite",
                "MartletServiceBus",
                "MartletSupport",
                "MartletTesting",
                "TestSupport",
                .logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletKafkaTests",
            dependencies: [
                .target(name: "CRdkafka", condition: .when(traits: ["Kafka"])),
                "Martlet",
                "MartletKafka",
                "MartletSupport",
                "MartletTesting",
                "MockKafka",
                "TestSupport",
                .dequeModule,
                .logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletMetricsTests",
            dependencies: [
                "MartletMetrics",
                "TestSupport",
                .coreMetrics,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletTests",
            dependencies: [
                "EventStream",
                "Martlet",
                "MartletMetrics",
                "MartletSupport",
                "MartletTesting",
                "TestSupport",
                .coreMetrics,
                .nioCore,
                .nioEmbedded,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletValuesTests",
            dependencies: ["Martlet", "MartletTesting", "MartletValues", "TestSupport"],
            swiftSettings: settings
        ),
        // The Swift code of the guides, in Sources/Martlet/Martlet.docc.
        .testTarget(
            name: "GuideTests",
            dependencies: [
                .target(name: "MartletRedis", condition: .when(traits: ["Redis"])),
                "EventStream",
                "Martlet",
                "MartletAuth",
                "MartletClient",
                "MartletHTTP",
                "MartletHooks",
                "MartletMercure",
                "MartletSQLite",
                "MartletTesting",
                "MartletValues",
                "TestSupport",
                .hummingbird,
                .hummingbirdTesting,
                .logging,
                .nioCore,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MartletHTTPTests",
            dependencies: [
                "EventStream",
                "Martlet",
                "MartletHTTP",
                "MartletSupport",
                "MartletTesting",
                "MartletValues",
                "TestSupport",
                .asyncHTTPClient,
                .hummingbird,
                .hummingbirdCore,
                .hummingbirdHTTP2,
                .hummingbirdTesting,
                .hummingbirdTLS,
                .httpTypes,
                .logging,
                .nioCore,
                .nioEmbedded,
                .nioPosix,
                .nioSSL,
                .serviceLifecycle,
            ],
            swiftSettings: settings
        ),
    ]
)
