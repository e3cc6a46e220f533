// Forwards app lifecycle events to the library: memory warnings, background, foreground. Under memory pressure the
// library frees idle models before the system ends the app.

import Foundation

extension Nearside {
    /// Forwards app lifecycle events for as long as this object lives. Call it once, after creation:
    ///
    ///     let nearside = try Nearside(directory: .applicationSupportDirectory, host: AppleHost())
    ///     nearside.followApp()
    ///
    /// On a Mac there is nothing to observe; an app can still call `notify(event:)`.
    public func followApp() {
        follow(NearsideLifecycle.ofThisSystem, in: .default)
    }

    func follow(_ events: [Notification.Name: AppEvent], in center: NotificationCenter) {
        NearsideLifecycle(follow: events, in: center) { [weak self] event in
            guard let self else { return false }
            // It fails only where the library has a bug, and then the next request says so.
            try? self.notify(event: event)
            return true
        }.keepItself()
    }
}

/// Forwards system notifications as library events until the library rejects one or this object is released.
final class NearsideLifecycle: @unchecked Sendable {
    private let center: NotificationCenter
    private let lock = NSLock()
    private var tokens: [any NSObjectProtocol] = []
    private var itself: NearsideLifecycle?

    /// `tell` returns whether to keep forwarding.
    init(
        follow events: [Notification.Name: AppEvent], in center: NotificationCenter,
        tell: @escaping @Sendable (AppEvent) -> Bool
    ) {
        self.center = center
        tokens = events.map { name, event in
            center.addObserver(forName: name, object: nil, queue: nil) { [weak self] _ in
                if !tell(event) { self?.end() }
            }
        }
    }

    /// Retains itself until forwarding ends.
    func keepItself() {
        lock.withLock { itself = self }
    }

    private func end() {
        let (tokens, _) = lock.withLock {
            defer { (self.tokens, itself) = ([], nil) }
            return (self.tokens, itself)
        }
        for token in tokens { center.removeObserver(token) }
    }

    deinit {
        for token in tokens { center.removeObserver(token) }
    }
}

#if canImport(UIKit) && !os(watchOS)
    import UIKit

    extension NearsideLifecycle {
        static var ofThisSystem: [Notification.Name: AppEvent] {
            [
                UIApplication.didReceiveMemoryWarningNotification: .memoryLow,
                UIApplication.didEnterBackgroundNotification: .background,
                UIApplication.willEnterForegroundNotification: .foreground,
            ]
        }
    }
#else
    extension NearsideLifecycle {
        /// A Mac, or a system without app lifecycle: nothing is taken from an app in the background.
        static var ofThisSystem: [Notification.Name: AppEvent] { [:] }
    }
#endif

// Not where a package brings a `SwiftUI` of its own to type-check against.
#if canImport(Darwin) && canImport(SwiftUI)
    import SwiftUI

    extension Nearside {
        /// Hands over a scene's phase, where an app watches phases itself rather than to call `followApp()`:
        ///
        ///     .onChange(of: scenePhase) { nearside.follow(scenePhase: $0) }
        public func follow(scenePhase: ScenePhase) {
            switch scenePhase {
            case .active: try? notify(event: .foreground)
            case .background: try? notify(event: .background)
            // `inactive` is a moment under a sheet of the system's.
            default: break
            }
        }
    }
#endif
