// Device facts that only an app on an Apple system can read; the library requests them before each routing decision.

#if canImport(Darwin) && canImport(Network)
    import Darwin
    import Foundation
    import Network
    import os

    #if canImport(UIKit)
        import UIKit
    #endif

    /// Reports available memory, connectivity, thermal state, battery level and Low Power Mode to the library. Every way
    /// to open a `Nearside` creates one, which lives as long as that; an app passes one only to add facts of its own.
    ///
    /// On iOS it enables `UIDevice.isBatteryMonitoringEnabled`. A Mac's battery is not read.
    public final class AppleHost: DeviceHost, Sendable {
        /// Values that the system pushes; the rest is read on demand.
        private let readings = OSAllocatedUnfairLock(initialState: DeviceReadings())
        private let observers: Observers

        public init() {
            let paths = NWPathMonitor()
            let pressure = DispatchSource.makeMemoryPressureSource(eventMask: [.warning, .critical])
            let relief = DispatchSource.makeMemoryPressureSource(eventMask: .normal)
            observers = Observers(paths: paths, pressure: [pressure, relief])
            let readings = readings
            paths.pathUpdateHandler = { path in
                let reading = DeviceReadings.Path(
                    isSatisfied: path.status != .unsatisfied, isExpensive: path.isExpensive,
                    isConstrained: path.isConstrained)
                readings.withLock { $0.path = reading }
            }
            paths.start(queue: DispatchQueue(label: "org.nearside.network"))
            pressure.setEventHandler { readings.withLock { $0.memoryPressure = true } }
            relief.setEventHandler { readings.withLock { $0.memoryPressure = false } }
            pressure.activate()
            relief.activate()
            #if canImport(UIKit)
                observers.observeBattery { level in readings.withLock { $0.batteryLevel = level } }
            #endif
        }

        public func facts() -> DeviceFacts {
            var now = readings.withLock { $0 }
            now.memoryAvailable = Self.memoryAvailable()
            now.thermalState = ProcessInfo.processInfo.thermalState.rawValue
            now.isLowPower = ProcessInfo.processInfo.isLowPowerModeEnabled
            return now.facts
        }

        #if targetEnvironment(simulator)
            // A simulator has the memory of its Mac, which the library reads itself.
            private static func memoryAvailable() -> UInt64? { nil }
        #elseif !canImport(UIKit)
            private static func memoryAvailable() -> UInt64? {
                var statistics = vm_statistics64_data_t()
                var count = mach_msg_type_number_t(
                    MemoryLayout<vm_statistics64_data_t>.size / MemoryLayout<integer_t>.size)
                let result = withUnsafeMutablePointer(to: &statistics) {
                    $0.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                        host_statistics64(machine, HOST_VM_INFO64, $0, &count)
                    }
                }
                guard result == KERN_SUCCESS else { return nil }
                return availableBytes(
                    pageSize: UInt64(getpagesize()), free: UInt64(statistics.free_count),
                    inactive: UInt64(statistics.inactive_count), purgeable: UInt64(statistics.purgeable_count))
            }

            /// Called once: each call of `mach_host_self` acquires a port right that must be released.
            private static let machine = mach_host_self()
        #else
            private static func memoryAvailable() -> UInt64? { remainingBytes(os_proc_available_memory()) }
        #endif
    }

    /// Observers that run until this object is released. Their types are thread-safe, but not all SDKs declare them
    /// `Sendable`.
    private final class Observers: @unchecked Sendable {
        private let paths: NWPathMonitor
        private let pressure: [any DispatchSourceMemoryPressure]
        private let lock = NSLock()
        private var battery: (any NSObjectProtocol)?

        init(paths: NWPathMonitor, pressure: [any DispatchSourceMemoryPressure]) {
            self.paths = paths
            self.pressure = pressure
        }

        #if canImport(UIKit)
            func observeBattery(_ report: @escaping @Sendable (Float) -> Void) {
                Task { @MainActor [weak self] in
                    UIDevice.current.isBatteryMonitoringEnabled = true
                    report(UIDevice.current.batteryLevel)
                    let token = NotificationCenter.default.addObserver(
                        forName: UIDevice.batteryLevelDidChangeNotification, object: nil, queue: .main
                    ) { _ in
                        MainActor.assumeIsolated { report(UIDevice.current.batteryLevel) }
                    }
                    self?.store(token)
                }
            }

            private func store(_ token: any NSObjectProtocol) {
                lock.withLock { battery = token }
            }
        #endif

        deinit {
            paths.cancel()
            for source in pressure { source.cancel() }
            if let battery { NotificationCenter.default.removeObserver(battery) }
        }
    }
#endif
