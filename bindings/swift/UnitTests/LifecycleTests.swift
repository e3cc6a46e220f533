// What happens to an app, as the library hears it.

import Foundation
import NearsideTesting
import Testing

@testable import NearsideKit

@Suite struct LifecycleTests {
    private let warning = Notification.Name("a memory warning")
    private let hidden = Notification.Name("in the background")

    @Test func notificationsArriveAsEventsWhileFollowed() {
        let center = NotificationCenter()
        let heard = Heard()
        var lifecycle: NearsideLifecycle? = NearsideLifecycle(
            follow: [warning: .memoryLow, hidden: .background], in: center
        ) { heard.add($0) }

        center.post(name: warning, object: nil)
        center.post(name: hidden, object: nil)
        center.post(name: Notification.Name("something else"), object: nil)
        #expect(heard.events == [.memoryLow, .background])
        #expect(lifecycle != nil)

        lifecycle = nil
        center.post(name: warning, object: nil)
        #expect(heard.events.count == 2, "nobody follows any more")
    }

    @Test func whoWantsNoMoreIsLetGo() {
        let center = NotificationCenter()
        let heard = Heard(wants: 1)
        weak var lifecycle: NearsideLifecycle?
        do {
            let made = NearsideLifecycle(follow: [warning: .memoryLow], in: center) { heard.add($0) }
            made.keepItself()
            lifecycle = made
        }
        #expect(lifecycle != nil, "it lives by itself")
        center.post(name: warning, object: nil)
        center.post(name: warning, object: nil)
        #expect(heard.events == [.memoryLow])
        #expect(lifecycle == nil)
    }

    @Test func theLibraryHearsOfItAndIsNotKeptAlive() async throws {
        let center = NotificationCenter()
        weak var gone: Nearside?
        do {
            let nearside = try Nearside.scripted { "Hello." }
            nearside.follow([warning: .memoryLow, hidden: .memoryCritical], in: center)
            gone = nearside
            center.post(name: warning, object: nil)
            center.post(name: hidden, object: nil)
            #expect(try await nearside.chat(ChatRequest(messages: [.user("Hello?")])).all().text == "Hello.")
            nearside.followApp()
        }
        #expect(gone == nil)
        center.post(name: warning, object: nil)
    }
}

private final class Heard: @unchecked Sendable {
    private let lock = NSLock()
    private let wants: Int
    private var all: [AppEvent] = []

    init(wants: Int = .max) {
        self.wants = wants
    }

    var events: [AppEvent] { lock.withLock { all } }

    func add(_ event: AppEvent) -> Bool {
        lock.withLock {
            all.append(event)
            return all.count < wants
        }
    }
}
