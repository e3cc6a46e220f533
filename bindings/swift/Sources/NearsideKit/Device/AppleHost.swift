// What only an app on an Apple system can know of its device, read for the library before each decision.

#if canImport(Darwin) && canImport(Network)
    import Darwin
    import Foundation
    // By name: the framework as a whole is called as the library's own `Network`.
    import class Network.NWPathMonitor
    import os

    #if canImport(UIKit)
        import UIKit
    #endif

    /// Tells the library how much memory this app may take, how the device is connected, how hot it is, what its battery
    /// holds and whether it saves power. Make one and give it to `Nearside`: it reads for as long as that lives.
    ///
    /// On iOS it switches `UIDevice.isBatteryMonitoringEnabled` on. A Mac's battery is not read.
    public final class AppleHost: DeviceHost, Sendable {
        /// Values that the system pushes; the rest is read on demand.
        private let told = OSAllocatedUnfairLock(initialState: DeviceReadings())
        private let sources: Sources

        public init() {
            let paths = NWPathMonitor()
            let pressure = DispatchSource.makeMemoryPressureSource(eventMask: [.warning, .critical])
            let relief = DispatchSource.makeMemoryPressureSource(eventMask: .normal)
            sources = Sources(paths: paths, pressure: [pressure, relief])
            let told = told
            paths.pathUpdateHandler = { path in
                let reading = DeviceReadings.Path(
                    isSatisfied: path.status != .unsatisfied, isExpensive: path.isExpensive,
                    isConstrained: path.isConstrained)
                told.withLock { $0.path = reading }
            }
            paths.start(queue: DispatchQueue(label: "org.nearside.network"))
            pressure.setEventHandler { told.withLock { $0.memoryPressure = true } }
            relief.setEventHandler { told.withLock { $0.memoryPressure = false } }
            pressure.activate()
            relief.activate()
            #if canImport(UIKit)
                sources.watchBattery { level in told.withLock { $0.batteryLevel = level } }
            #endif
        }

        public func facts() -> HostFacts {
            var now = told.withLock { $0 }
            now.memoryAvailable = Self.memoryAvailable()
            now.thermalState = ProcessInfo.processInfo.thermalState.rawValue
            now.isLowPower = ProcessInfo.processInfo.isLowPowerModeEnabled
            return now.facts
        }

        #if targetEnvironment(simulator)
            // A simulator has the memory of its Mac; the library reads that by itself.
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
                return bytesAvailable(
                    pageSize: UInt64(getpagesize()), free: UInt64(statistics.free_count),
                    inactive: UInt64(statistics.inactive_count), purgeable: UInt64(statistics.purgeable_count))
            }

            /// Each call of `mach_host_self` takes a right that would have to be given back.
            private static let machine = mach_host_self()
        #else
            private static func memoryAvailable() -> UInt64? {
                UInt64(os_proc_available_memory())
            }
        #endif
    }

    /// Observers that run until this object is released. Their types are thread-safe, but not all SDKs declare them
    /// `Sendable`.
    private final class Sources: @unchecked Sendable {
        private let paths: NWPathMonitor
        private let pressure: [any DispatchSourceMemoryPressure]
        private let lock = NSLock()
        private var battery: (any NSObjectProtocol)?

        init(paths: NWPathMonitor, pressure: [any DispatchSourceMemoryPressure]) {
            self.paths = paths
            self.pressure = pressure
        }

        #if canImport(UIKit)
            func watchBattery(_ tell: @escaping @Sendable (Float) -> Void) {
                Task { @MainActor [weak self] in
                    UIDevice.current.isBatteryMonitoringEnabled = true
                    tell(UIDevice.current.batteryLevel)
                    let token = NotificationCenter.default.addObserver(
                        forName: UIDevice.batteryLevelDidChangeNotification, object: nil, queue: .main
                    ) { _ in
                        MainActor.assumeIsolated { tell(UIDevice.current.batteryLevel) }
                    }
                    self?.keep(token)
                }
            }

            private func keep(_ token: any NSObjectProtocol) {
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
