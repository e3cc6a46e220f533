// See Darwin.swift.

@_exported import Foundation

@MainActor
public final class UIDevice {
    public static let current = UIDevice()
    nonisolated public static let batteryLevelDidChangeNotification = Notification.Name("battery level")

    public var isBatteryMonitoringEnabled = false
    public let batteryLevel: Float = -1
}

@MainActor
public final class UIApplication {
    nonisolated public static let didReceiveMemoryWarningNotification = Notification.Name("memory warning")
    nonisolated public static let didEnterBackgroundNotification = Notification.Name("background")
    nonisolated public static let willEnterForegroundNotification = Notification.Name("foreground")
}
