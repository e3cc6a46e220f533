// Forwards app lifecycle events to the library: memory warnings, background, foreground. Under memory pressure the
// library frees idle models before the system ends the app.

import Foundation

extension Nearside {
    /// Forwards app lifecycle events until this object is released. Call it once, after creation:
    ///
    ///     let nearside = try await Nearside.open()
    ///     nearside.followApp()
    ///
    /// On a Mac there is nothing to observe; an app can still call `notify(event:)`.
    public func followApp() {
        forwardEvents(NearsideLifecycle.systemEvents, from: .default)
    }

    func forwardEvents(_ events: [Notification.Name: AppEvent], from center: NotificationCenter) {
        NearsideLifecycle(events, from: center) { [weak self] event in
            guard let self else { return false }
            // Fails only on a bug in the library, which the next request reports.
            try? self.notify(event: event)
            return true
        }.retainItself()
    }
}

/// Forwards system notifications as library events until the library rejects one or this object is released.
final class NearsideLifecycle: @unchecked Sendable {
    private let center: NotificationCenter
    private let lock = NSLock()
    private var tokens: [any NSObjectProtocol] = []
    private var retained: NearsideLifecycle?

    /// Observes the notifications. `forward` returns `false` to stop.
    init(
        _ events: [Notification.Name: AppEvent], from center: NotificationCenter,
        forward: @escaping @Sendable (AppEvent) -> Bool
    ) {
        self.center = center
        tokens = events.map { name, event in
            center.addObserver(forName: name, object: nil, queue: nil) { [weak self] _ in
                if !forward(event) { self?.stop() }
            }
        }
    }

    /// Retains itself until forwarding ends.
    func retainItself() {
        lock.withLock { retained = self }
    }

    private func stop() {
        let (tokens, _) = lock.withLock {
            defer { (self.tokens, retained) = ([], nil) }
            return (self.tokens, retained)
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
        static var systemEvents: [Notification.Name: AppEvent] {
            [
                UIApplication.didReceiveMemoryWarningNotification: .memoryLow,
                UIApplication.didEnterBackgroundNotification: .background,
                UIApplication.willEnterForegroundNotification: .foreground,
            ]
        }
    }
#else
    extension NearsideLifecycle {
        /// Empty on a Mac or a system without an app lifecycle: background apps lose no resources there.
        static var systemEvents: [Notification.Name: AppEvent] { [:] }
    }
#endif

// Not on Linux, where a package may have a stub of `SwiftUI`.
#if canImport(Darwin) && canImport(SwiftUI)
    import SwiftUI

    extension Nearside {
        /// Forwards a scene's phase, for an app that observes phases itself and does not call `followApp()`:
        ///
        ///     nearside.followApp(scenePhase: phase)  // in an `onChange(of: scenePhase)`
        public func followApp(scenePhase: ScenePhase) {
            switch scenePhase {
            case .active: try? notify(event: .foreground)
            case .background: try? notify(event: .background)
            // `inactive` is brief, for example under a system sheet.
            default: break
            }
        }
    }
#endif
