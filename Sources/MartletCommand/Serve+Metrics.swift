// SPDX-License-Identifier: Apache-2.0

extension Serve {
    /// What the metrics of the hub mean.
    static let help = [
        "martlet_events_published": "Events that the log has accepted from publishers of this node.",
        "martlet_publishes_overloaded": "Events refused because subscribers were written to more slowly.",
        "martlet_connections_refused": "Connections refused because there were too many.",
        "martlet_streams_opened": "Streams that were opened.",
        "martlet_streams_closed": "Streams that have ended, by reason.",
        "martlet_streams": "Streams that are open.",
        "martlet_streams_on_shards": "Streams that are open and were handed off to a shard.",
        "martlet_deliveries": "Events written to subscribers.",
        "martlet_delivered_bytes": "Bytes written to subscribers.",
        "martlet_replayed_events": "Events written to subscribers that came from history.",
        "martlet_replay_bytes": "Bytes of history in memory for streams that catch up.",
        "martlet_delivery_lag": "From when the node had read an event to when its feed was written on one shard.",
        "martlet_feeds": "Distinct subscriptions that are open.",
        "martlet_gaps": "Streams told that something they missed is gone, by reason.",
        "martlet_window_bytes": "Bytes of events in memory for live streams.",
        "martlet_window_capacity_bytes": "The most of them.",
        "martlet_log_reachable": "Whether the server of a shared log answers: 1, else 0.",
        "martlet_log_lag_seconds": "By how much the newest event that was read is older than the newest on the server.",
        "martlet_log_losses": "How many times the server of a shared log went away.",
        "martlet_log_entries_skipped": "Entries of a shared log that are no events.",
        "martlet_shard_lag_bytes": "Bytes that the slowest shard has not written yet.",
    ]
}
