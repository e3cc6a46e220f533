// Forwarding of app lifecycle events to the library.

import Foundation
import NearsideTesting
import Testing

@testable import NearsideKit

@Suite struct LifecycleTests {
    private let warning = Notification.Name("a memory warning")
    private let hidden = Notification.Name("in the background")

    @Test func notificationsArriveAsEventsWhileFollowed() {
        let center = NotificationCenter()
        let log = EventLog()
        var lifecycle: NearsideLifecycle? = NearsideLifecycle(
            [warning: .memoryLow, hidden: .background], from: center
        ) { log.add($0) }

        center.post(name: warning, object: nil)
        center.post(name: hidden, object: nil)
        center.post(name: Notification.Name("something else"), object: nil)
        #expect(log.events == [.memoryLow, .background])
        #expect(lifecycle != nil)

        lifecycle = nil
        center.post(name: warning, object: nil)
        #expect(log.events.count == 2, "forwarding has ended")
    }

    @Test func whoWantsNoMoreIsLetGo() {
        let center = NotificationCenter()
        let log = EventLog(limit: 1)
        weak var lifecycle: NearsideLifecycle?
        do {
            let made = NearsideLifecycle([warning: .memoryLow], from: center) { log.add($0) }
            made.retainItself()
            lifecycle = made
        }
        #expect(lifecycle != nil, "it retains itself")
        center.post(name: warning, object: nil)
        center.post(name: warning, object: nil)
        #expect(log.events == [.memoryLow])
        #expect(lifecycle == nil)
    }

    @Test func theLibraryHearsOfItAndIsNotKeptAlive() async throws {
        let center = NotificationCenter()
        weak var released: Nearside?
        do {
            let nearside = try Nearside.scripted { "Hello." }
            nearside.forwardEvents([warning: .memoryLow, hidden: .memoryCritical], from: center)
            released = nearside
            center.post(name: warning, object: nil)
            center.post(name: hidden, object: nil)
            #expect(try await nearside.chat(ChatRequest(messages: [.user("Hello?")])).all().text == "Hello.")
            nearside.followApp()
        }
        #expect(released == nil)
        center.post(name: warning, object: nil)
    }
}

private final class EventLog: @unchecked Sendable {
    private let lock = NSLock()
    private let limit: Int
    private var all: [AppEvent] = []

    init(limit: Int = .max) {
        self.limit = limit
    }

    var events: [AppEvent] { lock.withLock { all } }

    func add(_ event: AppEvent) -> Bool {
        lock.withLock {
            all.append(event)
            return all.count < limit
        }
    }
}
