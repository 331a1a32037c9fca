// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletBench

@Suite("Record of the published events")
struct PublishRecordTests {
    @Test("Answers are those of the events in the order of sending")
    func answers() {
        var record = PublishRecord()
        for _ in 0..<5 { record.send() }
        for status in [200, 404, 204, 500] { record.answer(status: status) }
        #expect(record.sent == 5)
        #expect(record.accepted == 2)
        #expect(record.refused == 2)
        #expect(record.firstRefusal == 404)
        #expect(record.notAccepted == [1, 3])
        #expect(record.pending == 1)
    }

    @Test("Events whose answers are lost with the connection are not accepted")
    func breakOff() {
        var record = PublishRecord()
        for _ in 0..<3 { record.send() }
        record.answer(status: 200)
        record.breakOff()
        #expect(record.unanswered == 2)
        #expect(record.pending == 0)
        record.send()
        record.answer(status: 503)
        #expect(record.notAccepted == [1, 2, 3])
    }

    @Test("An answer to nothing is not counted")
    func stray() {
        var record = PublishRecord()
        record.answer(status: 200)
        #expect(record == PublishRecord())
    }
}
