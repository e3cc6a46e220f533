// The declarations of Apple's modules that the package uses, to compile its Apple parts on other systems:
// scripts/bindings.sh apple-swift. Written by hand from the documentation: a build against them checks types and Swift
// 6's concurrency rules. It does not prove that Apple's SDK has the same declarations.
//
// The names are Apple's, so:
// swift-format-ignore-file

@_exported import Foundation
@_exported import Glibc

public typealias integer_t = Int32
public typealias natural_t = UInt32
public typealias mach_port_t = UInt32
public typealias mach_msg_type_number_t = UInt32
public typealias kern_return_t = Int32

public let KERN_SUCCESS: Int32 = 0
public let HOST_VM_INFO64: Int32 = 4

public struct vm_statistics64_data_t {
    public var free_count: natural_t = 0
    public var inactive_count: natural_t = 0
    public var purgeable_count: natural_t = 0

    public init() {}
}

public func mach_host_self() -> mach_port_t { 0 }

public func host_statistics64(
    _ host: mach_port_t, _ flavor: Int32, _ info: UnsafeMutablePointer<integer_t>!,
    _ count: UnsafeMutablePointer<mach_msg_type_number_t>!
) -> kern_return_t { 0 }

public protocol DispatchSourceMemoryPressure: DispatchSourceProtocol {}

extension DispatchSource {
    public struct MemoryPressureEvent: OptionSet, Sendable {
        public let rawValue: UInt

        public init(rawValue: UInt) {
            self.rawValue = rawValue
        }

        public static let normal = Self(rawValue: 1)
        public static let warning = Self(rawValue: 2)
        public static let critical = Self(rawValue: 4)
    }

    public class func makeMemoryPressureSource(
        eventMask: MemoryPressureEvent, queue: DispatchQueue? = nil
    ) -> any DispatchSourceMemoryPressure { fatalError("a stub") }
}

extension ProcessInfo {
    public enum ThermalState: Int, Sendable {
        case nominal
        case fair
        case serious
        case critical
    }

    public var thermalState: ThermalState { .nominal }
    public var isLowPowerModeEnabled: Bool { false }
}
