// What a process holds at a moment: threads, memory, objects of the library.

import Foundation

struct Standing {
    let threads: Int
    let residentKB: Int
    /// Objects of the library that are alive; -1 where its build does not count them.
    let objects: Int

    static var now: Standing {
        Standing(threads: status("Threads"), residentKB: status("VmRSS"), objects: liveObjectsOfTheLibrary())
    }

    /// The standing once there are no more threads than that, or after two seconds.
    static func settled(below threads: Int) async throws -> Standing {
        for _ in 0..<200 where now.threads > threads { try await Task.sleep(for: .milliseconds(10)) }
        return now
    }

    /// A line of Linux's `/proc/self/status`; -1 on other systems.
    private static func status(_ name: String) -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return -1 }
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return line.flatMap { line in Int(line.filter(\.isNumber)) } ?? -1
    }
}

/// The one place that asks the library for its counter.
private func liveObjectsOfTheLibrary() -> Int {
    -1
}
