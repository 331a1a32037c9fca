// SPDX-License-Identifier: Apache-2.0

public import Martlet

extension EventStreamWriter {
    /// Sends how a job is doing: the reports of its latest run, or those after what the client saw last, until the final one.
    ///
    ///     router.events("imports/{id}/progress") { request, context, stream in
    ///         try await stream.follow(job: "import-" + context.parameters.require("id"), of: hub)
    ///     }
    ///
    /// A job that is not known yet is waited for. Returns after the final report; the client that comes back then is answered
    /// with 204.
    ///
    /// - Throws: ``NoMoreEvents`` where the client has seen the end of the job; ``Martlet/MartletError`` where no job can have
    ///   the name; else what watching the job, or sending, throws.
    public func follow(job name: String, of hub: Hub) async throws {
        try hub.configuration.limits.check(Event(topic: Topic.job(name), data: ""))
        var reports = hub.watchJob(name)
        if let lastEventID {
            guard let rest = try await hub.watchJob(name, after: lastEventID) else { throw NoMoreEvents() }
            reports = rest
        }
        try await open()
        var iterator = reports.makeAsyncIterator()
        while let report = try await iterator.nextDelivery() {
            try await send(report.value, event: JobReport.eventType, id: report.id)
        }
    }
}
