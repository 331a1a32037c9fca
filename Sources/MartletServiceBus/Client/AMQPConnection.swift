// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import CProton
import Martlet
import MartletSupport

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A connection to a broker that speaks AMQP 1.0, for use on one thread. Its calls block, but for no longer than they
/// are told.
///
/// Everything that comes from the broker is read while a call waits; so call ``wait(atMost:until:)`` at least once in a
/// while, or the broker ends a connection that seems dead. After it has thrown, a connection cannot be used any more.
final class AMQPConnection {
    /// What the engine of proton needs for one connection.
    private let driver: UnsafeMutablePointer<pn_connection_driver_t>
    private let socket: CInt
    private let isCancelled: () -> Bool
    private var session: OpaquePointer?
    /// The links that are in use; each of them keeps the connection.
    private var links: [OpaquePointer: WeakLink] = [:]
    private var linkCount = 0
    /// When proton has to be told the time again.
    private var nextTick: Int64 = 0
    private var failure: (any Error)?
    private var isClosing = false

    private struct WeakLink {
        weak var link: AMQPLink?
    }

    /// How long the thread sleeps before it looks whether it is cancelled.
    private static let longestSleep = Duration.milliseconds(100)
    /// How much may arrive before it is taken from the connection.
    private static let incomingBytes = 8 * 1024 * 1024

    /// Connects, and logs in.
    ///
    /// - Parameter isCancelled: Whether to give up everything. Called on this thread.
    /// - Throws: ``LogUnreachable``.
    init(to server: AMQPServer, within time: Duration, isCancelled: @escaping () -> Bool) throws {
        self.isCancelled = isCancelled
        let deadline = ContinuousClock.now + time
        socket = try TCPSocket.connect(to: server.host, port: server.port, until: deadline, isCancelled: isCancelled)
        driver = .allocate(capacity: 1)
        guard pn_connection_driver_init(driver, nil, nil) == 0 else {
            close(socket)
            driver.deallocate()
            throw LogUnreachable("There is no memory for a connection.")
        }
        // From here on, `deinit` closes it.
        let (connection, transport) = (driver.pointee.connection, driver.pointee.transport)
        pn_connection_set_container(connection, server.container)
        pn_connection_set_hostname(connection, server.host)
        if let (user, password) = server.login {
            pn_connection_set_user(connection, user)
            pn_connection_set_password(connection, password)
        }
        if server.isEncrypted { try encrypt(transport, for: server) }
        let sasl = pn_sasl(transport)
        pn_sasl_allowed_mechs(sasl, server.login == nil ? "ANONYMOUS" : "PLAIN")
        pn_sasl_set_allow_insecure_mechs(sasl, true)
        pn_transport_set_idle_timeout(transport, server.idleTimeout)
        pn_connection_driver_bind(driver)
        pn_connection_open(connection)
        session = pn_session(connection)
        pn_session_set_incoming_capacity(session, Self.incomingBytes)
        pn_session_open(session)
        let isOpen = try wait(atMost: deadline - .now) { [session] in
            pn_session_state(session) & CInt(PN_REMOTE_ACTIVE) != 0
        }
        guard isOpen else { throw LogUnreachable("The broker did not answer in time.") }
    }

    deinit {
        pn_connection_driver_destroy(driver)
        driver.deallocate()
        close(socket)
    }

    private func encrypt(_ transport: OpaquePointer?, for server: AMQPServer) throws(LogUnreachable) {
        guard let domain = pn_ssl_domain(PN_SSL_MODE_CLIENT) else { throw LogUnreachable("TLS is not available.") }
        defer { pn_ssl_domain_free(domain) }
        guard let authorities = server.authorities ?? AMQPServer.systemAuthorities,
            pn_ssl_domain_set_trusted_ca_db(domain, authorities) == 0
        else {
            throw LogUnreachable(
                "The certificates of trusted authorities cannot be read. Install ca-certificates, or name a file (?ca=…)."
            )
        }
        guard pn_ssl_domain_set_peer_authentication(domain, PN_SSL_VERIFY_PEER_NAME, nil) == 0,
            let ssl = pn_ssl(transport), pn_ssl_init(ssl, domain, nil) == 0,
            pn_ssl_set_peer_hostname(ssl, server.host) == 0
        else { throw LogUnreachable("TLS cannot be set up.") }
    }

    // MARK: Links

    /// A link on which this side sends.
    func sender(to address: String, within time: Duration) throws -> AMQPSender {
        let link = pn_sender(session, name("sender"))
        pn_terminus_set_address(pn_link_target(link), address)
        pn_terminus_set_address(pn_link_source(link), "martlet")
        pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED)
        return try open(link, address, within: time) { AMQPSender($0, on: self) }
    }

    /// A link on which this side receives. It needs credit first.
    ///
    /// - Parameter target: The own address, to which a broker answers.
    func receiver(from address: String, target: String = "martlet", within time: Duration) throws -> AMQPReceiver {
        let link = pn_receiver(session, name("receiver"))
        pn_terminus_set_address(pn_link_source(link), address)
        pn_terminus_set_address(pn_link_target(link), target)
        pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED)
        pn_link_set_rcv_settle_mode(link, PN_RCV_FIRST)
        return try open(link, address, within: time) { AMQPReceiver($0, on: self) }
    }

    /// A new name for each link: a broker may not have let go of an earlier one.
    private func name(_ role: String) -> String {
        linkCount += 1
        return "\(role)-\(linkCount)"
    }

    private func open<Link: AMQPLink>(
        _ pointer: OpaquePointer?, _ address: String, within time: Duration, _ make: (OpaquePointer) -> Link
    ) throws -> Link {
        guard let pointer else { throw LogUnreachable("There is no memory for a link.") }
        let link = make(pointer)
        links[pointer] = WeakLink(link: link)
        pn_link_open(pointer)
        let isOpen = try wait(atMost: time) {
            // A refusal comes as an answer without an address, and the reason behind it.
            if let refusal = link.refusal { throw refusal.at(address) }
            return link.isOpen
        }
        guard isOpen else { throw LogUnreachable("The broker did not open a link to \(address) in time.") }
        return link
    }

    /// Ends the connection in good order, so that the broker knows of everything that was settled. Nothing happens if it is
    /// gone already.
    func finish(within time: Duration) {
        guard failure == nil else { return }
        pn_connection_close(driver.pointee.connection)
        isClosing = true
        _ = try? wait(atMost: time) { [driver] in
            pn_connection_state(driver.pointee.connection) & CInt(PN_REMOTE_CLOSED) != 0
        }
    }

    /// Ends a link that is no longer in use.
    func end(_ link: OpaquePointer) {
        links[link] = nil
        pn_link_close(link)
    }

    // MARK: Waiting

    /// Sends and receives until a condition holds, or for a time. Returns whether it holds.
    ///
    /// - Throws: ``LogUnreachable`` if the connection is gone, or cancelled; the error of the closure.
    func wait(atMost time: Duration, until condition: () throws -> Bool) throws -> Bool {
        let deadline = ContinuousClock.now + time
        while true {
            takeEvents()
            _ = write()
            takeEvents()
            if let failure { throw failure }
            if try condition() { return true }
            // The condition may have sent something.
            let wantsToWrite = write()
            let rest = deadline - .now
            guard rest > .zero else { return false }
            if !isClosing, isCancelled() { throw LogUnreachable("The log is closed.") }
            sleep(atMost: min(rest, Self.longestSleep), wantsToWrite: wantsToWrite)
            read()
            tick()
        }
    }

    /// Writes what there is to write. Returns whether something is left.
    private func write() -> Bool {
        while true {
            let bytes = pn_connection_driver_write_buffer(driver)
            guard bytes.size > 0 else { return false }
            let count = send(socket, bytes.start, bytes.size, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
            if count > 0 {
                pn_connection_driver_write_done(driver, count)
            } else if errno == EAGAIN || errno == EWOULDBLOCK {
                return true
            } else if errno != EINTR {
                fail(SocketError.message(errno))
                pn_connection_driver_write_close(driver)
                return false
            }
        }
    }

    private func read() {
        while true {
            let buffer = pn_connection_driver_read_buffer(driver)
            guard buffer.size > 0 else { return }
            let count = recv(socket, buffer.start, buffer.size, CInt(MSG_DONTWAIT))
            if count > 0 {
                pn_connection_driver_read_done(driver, count)
                if count < buffer.size { return }
                takeEvents()
            } else if count == 0 {
                pn_connection_driver_read_close(driver)
                return
            } else if errno == EAGAIN || errno == EWOULDBLOCK {
                return
            } else if errno != EINTR {
                fail(SocketError.message(errno))
                pn_connection_driver_read_close(driver)
                return
            }
        }
    }

    private func sleep(atMost time: Duration, wantsToWrite: Bool) {
        var item = pollfd(fd: socket, events: Int16(POLLIN) | (wantsToWrite ? Int16(POLLOUT) : 0), revents: 0)
        _ = poll(&item, 1, CInt(clamping: max(1, time.wholeMilliseconds)))
    }

    /// Lets proton keep the connection alive, and notice that the broker is silent.
    private func tick() {
        let now = (ContinuousClock.now - Self.start).wholeMilliseconds + 1
        guard nextTick == 0 || now >= nextTick else { return }
        nextTick = pn_transport_tick(driver.pointee.transport, now)
        // The broker's wishes are known only once it has answered.
        if nextTick == 0 || nextTick > now + 1000 { nextTick = now + 1000 }
    }

    private static let start = ContinuousClock.now

    // MARK: Events

    private func takeEvents() {
        while let event = pn_connection_driver_next_event(driver) {
            switch pn_event_type(event) {
            case PN_CONNECTION_REMOTE_CLOSE:
                fail(pn_connection_remote_condition(driver.pointee.connection), or: "The broker ended the connection.")
            case PN_SESSION_REMOTE_CLOSE:
                fail(pn_session_remote_condition(pn_event_session(event)), or: "The broker ended the session.")
            case PN_TRANSPORT_ERROR, PN_TRANSPORT_CLOSED:
                fail(pn_transport_condition(driver.pointee.transport), or: "The connection was closed.")
            case PN_LINK_REMOTE_CLOSE, PN_LINK_REMOTE_DETACH:
                if let pointer = pn_event_link(event), let link = links[pointer]?.link {
                    link.refusal =
                        AMQPRefusal(pn_link_remote_condition(pointer))
                        ?? AMQPRefusal(name: "", text: "The broker ended the link.")
                }
            case PN_DELIVERY:
                if let delivery = pn_event_delivery(event), let link = pn_event_link(event) {
                    links[link]?.link?.changed(delivery)
                }
            default: break
            }
        }
    }

    private func fail(_ condition: OpaquePointer?, or text: String) {
        guard let refusal = AMQPRefusal(condition) else { return fail(text) }
        if failure == nil { failure = refusal.isLasting ? refusal : Self.unreachable(refusal.description) }
    }

    /// The first reason counts: the others follow from it.
    private func fail(_ reason: String) {
        if failure == nil { failure = Self.unreachable(reason) }
    }

    private static func unreachable(_ reason: String) -> LogUnreachable {
        LogUnreachable(reason, mayHaveAccepted: true)
    }
}

/// An error that a broker has named, such as `amqp:not-found`.
struct AMQPRefusal: Error, Equatable, CustomStringConvertible {
    var name: String
    var text: String
    /// The address of the link, if the error is about one.
    var address: String?

    init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    /// `nil` if there is no error.
    init?(_ condition: OpaquePointer?) {
        guard let condition, pn_condition_is_set(condition) else { return nil }
        name = pn_condition_get_name(condition).map { String(cString: $0) } ?? ""
        text = pn_condition_get_description(condition).map { String(cString: $0) } ?? ""
    }

    /// Whether somebody has to do something before trying again helps.
    var isLasting: Bool { name.endsExactly(with: "not-found") || name.isExactly("amqp:unauthorized-access") }

    func at(_ address: String) -> AMQPRefusal {
        var refusal = self
        refusal.address = address
        return refusal
    }

    /// One line, and no more than a log message may have.
    var description: String {
        let line = [address, name, text].compactMap(\.self).filter { !$0.isEmpty }.joined(separator: ": ")
        return String(line.prefix(500).map { $0.isNewline ? " " : $0 })
    }
}
#endif
