// See Darwin.swift.

public enum ScenePhase: Sendable {
    case background
    case inactive
    case active
}
