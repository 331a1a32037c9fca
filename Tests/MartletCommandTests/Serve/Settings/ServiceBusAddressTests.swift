// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Testing

@testable import MartletCommand

@Suite("Addresses of Service Bus topics")
struct ServiceBusAddressTests {
    @Test("An address has a host, a topic and defaults for the rest")
    func address() throws {
        let address = try #require(ServiceBusAddress("amqps://ns.servicebus.windows.net/events"))
        #expect(address.server == ServerAddress(host: "ns.servicebus.windows.net", port: 5671))
        #expect(address.isEncrypted && !address.hasTokens && !address.isBase64)
        #expect(address.topic == "events")
        #expect(address.credentials == nil)
        #expect(address.source(of: "a") == nil)
        #expect(ServiceBusAddress(address.text) == address)
        #expect(ServiceBusAddress("amqp://h/t")?.server.port == 5672)
    }

    @Test("Credentials and options are decoded, and the text has no credentials")
    func options() throws {
        let text =
            "amqp://us%40er:p%2F%3D@h:1/t%2Fu?auth=token&encoding=base64&ca=/ca.pem&target=/exchange/e"
            + "&source=/amq/queue/e.{node}"
        let address = try #require(ServiceBusAddress(text))
        #expect(address.credentials?.username == "us@er")
        #expect(address.credentials?.password.text == "p/=")
        #expect(address.hasTokens && address.isBase64)
        #expect(address.topic == "t/u")
        #expect(address.authorities == "/ca.pem")
        #expect(address.target == "/exchange/e")
        #expect(address.source(of: "a") == "/amq/queue/e.a")
        #expect(!address.text.contains("us@er") && !address.text.contains("p/="))
    }

    @Test(
        "A connection string may have its fields in any order and case",
        arguments: [
            "Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=k=;EntityPath=t",
            "sharedaccesskey=k=;entitypath=t;SHAREDACCESSKEYNAME=n;endpoint=sb://h;",
        ])
    func connectionString(text: String) throws {
        let address = try #require(ServiceBusAddress(text))
        #expect(address.server == ServerAddress(host: "h", port: 5671))
        #expect(address.topic == "t" && address.hasTokens && address.isEncrypted)
        #expect(address.credentials?.username == "n" && address.credentials?.password.text == "k=")
        #expect(address.text == "amqps://h:5671/t?auth=token")
    }

    @Test("The emulator is reached without TLS, on the port of the endpoint")
    func emulator() throws {
        let text = "Endpoint=sb://h:77;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=t;UseDevelopmentEmulator=true"
        let address = try #require(ServiceBusAddress(text))
        #expect(address.server.port == 77 && !address.isEncrypted)
    }

    @Test(
        "Malformed addresses are refused",
        arguments: [
            "amqps://", "amqps://h", "amqps://h/", "amqps:///t", "amqps://h:0/t", "amqps://:k@h/t", "amqps://u:@h/t",
            "amqps://h/t?auth=token", "amqps://h/t?auth=x", "amqps://h/t?target=a", "amqps://h/t?source=a",
            "amqps://h/t?unknown=1", "amqps://h/t?ca=", "AMQPS://h/t",
            "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=k", "Endpoint=sb://h;EntityPath=t",
            "Endpoint=h;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=t",
            "Endpoint=sb://h;Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=t",
            "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=t;Unknown=1",
        ])
    func malformed(text: String) { #expect(ServiceBusAddress(text) == nil) }

    @Test(
        "An address that is refused is shown without what may be a secret",
        arguments: [
            "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=hidden",
            "SharedAccessKey=hidden;Endpoint=sb://h;SharedAccessKeyName=n",
            #""Endpoint=sb://h;SharedAccessKey=hidden""#,
            "Endpoint=amqps://h/;SharedAccessKeyName=n;SharedAccessKey=hidden;EntityPath=t",
            " Endpoint=sb://h;sharedaccesskey=hidden", "amqps://u:hidden?x@h/t", "amqps:/u:hidden@h/t",
            "amqp:u:hidden@h/t", "redis:u:hidden@h",
        ])
    func hidden(text: String) async throws {
        let message = try #require(try await problem(environment: ["MARTLET_LOG": text]))
        #expect(!message.contains("hid"), "\(message)")
    }

    @Test("A node needs a name and a store, and no other log takes them")
    func nodes() async throws {
        let other = try #require(try await problem(commandLine: ["store": "sqlite:a.db"]))
        #expect(other.hasPrefix("store: only a log of Service Bus"))
        #if ServiceBus
        let log = ["log": "amqps://h/t"]
        let noNode = try #require(try await problem(commandLine: log))
        #expect(noNode.hasPrefix("node: set it to the name of the subscription"))
        let noStore = try #require(try await problem(commandLine: log.merging(["node": "a"]) { $1 }))
        #expect(noStore.hasPrefix("store: set it to sqlite:PATH"))
        let memory = try #require(
            try await problem(commandLine: log.merging(["node": "a", "store": "memory"]) { $1 }))
        #expect(memory.contains("is not sqlite:PATH"))
        #else
        let message = try #require(try await problem(commandLine: ["log": "amqps://h/t"]))
        #expect(message.contains("--traits ServiceBus"))
        #endif
    }
}
