// A stub of SwiftUI for machines without it: the declarations that this app uses, with the signatures of the iOS 17 SDK
// as far as the author remembers them, and no implementation. Nothing renders.
//
// Compiling the views against it finds misspelt modifiers, missing arguments, wrong types and isolation errors. It does
// not prove that Xcode accepts them; see README.md.

@_exported import Foundation
import Observation

@MainActor @preconcurrency public protocol View {
    associatedtype Body: View
    @ViewBuilder @MainActor @preconcurrency var body: Body { get }
}

extension View where Self: Equatable {
    public func equatable() -> some View { self }
}

extension Never: View { public var body: Never { fatalError("a stub") } }

/// A view without content.
public protocol Leaf: View where Body == Never {}
extension Leaf { public var body: Never { fatalError("a stub") } }

@resultBuilder public struct ViewBuilder {
    public static func buildBlock() -> EmptyView { EmptyView() }
    public static func buildExpression<V: View>(_ view: V) -> V { view }
    public static func buildBlock<V: View>(_ view: V) -> V { view }
    public static func buildBlock<each V: View>(_ view: repeat each V) -> TupleView<(repeat each V)> { TupleView() }
    public static func buildIf<V: View>(_ view: V?) -> V? { view }
    public static func buildEither<A: View, B: View>(first: A) -> _ConditionalContent<A, B> { _ConditionalContent() }
    public static func buildEither<A: View, B: View>(second: B) -> _ConditionalContent<A, B> { _ConditionalContent() }
}

public struct EmptyView: Leaf { public nonisolated init() {} }
public struct TupleView<T>: Leaf {}
public struct _ConditionalContent<A, B> {}
extension _ConditionalContent: View, Leaf where A: View, B: View { public typealias Body = Never }
extension Optional: View where Wrapped: View { public var body: Never { fatalError("a stub") } }

// MARK: - App

@MainActor @preconcurrency public protocol App {
    associatedtype Body: Scene
    @SceneBuilder @MainActor @preconcurrency var body: Body { get }
    @MainActor @preconcurrency init()
}

extension App { @MainActor public static func main() { fatalError("a stub renders nothing") } }

@MainActor @preconcurrency public protocol Scene {}
@resultBuilder public struct SceneBuilder { public static func buildBlock<S: Scene>(_ scene: S) -> S { scene } }
public struct WindowGroup<Content: View>: Scene { public init(@ViewBuilder content: () -> Content) {} }
public enum ScenePhase: Sendable { case background, inactive, active }

// MARK: - State

@propertyWrapper public struct State<Value> {
    public var wrappedValue: Value {
        get { fatalError("a stub") }
        nonmutating set {}
    }
    public var projectedValue: Binding<Value> { fatalError("a stub") }
    public init(wrappedValue: Value) {}
    public init(initialValue: Value) {}
}

extension State where Value: ExpressibleByNilLiteral { public init() { self.init(wrappedValue: nil) } }

@propertyWrapper @dynamicMemberLookup public struct Binding<Value> {
    public var wrappedValue: Value {
        get { fatalError("a stub") }
        nonmutating set {}
    }
    public var projectedValue: Binding<Value> { self }
    public init(
        get: @escaping @isolated(any) @Sendable () -> Value, set: @escaping @isolated(any) @Sendable (Value) -> Void
    ) {}
    public subscript<Subject>(dynamicMember path: WritableKeyPath<Value, Subject>) -> Binding<Subject> {
        fatalError("a stub")
    }
}

@propertyWrapper @dynamicMemberLookup public struct Bindable<Value: AnyObject> {
    public var wrappedValue: Value
    public var projectedValue: Bindable<Value> { self }
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    public init(_ wrappedValue: Value) { self.wrappedValue = wrappedValue }
    public subscript<Subject>(dynamicMember path: ReferenceWritableKeyPath<Value, Subject>) -> Binding<Subject> {
        fatalError("a stub")
    }
}

@propertyWrapper public struct FocusState<Value: Hashable> {
    public struct Binding {}
    public var wrappedValue: Value {
        get { fatalError("a stub") }
        nonmutating set {}
    }
    public var projectedValue: Binding { Binding() }
    public init() where Value == Bool {}
}

@propertyWrapper public struct Environment<Value> {
    public var wrappedValue: Value { fatalError("a stub") }
    public init(_ path: KeyPath<EnvironmentValues, Value>) {}
    public init<T: AnyObject & Observable>(_ type: T.Type) where Value == T? {}
}

extension View {
    public func environment<T: AnyObject & Observable>(_ object: T?) -> some View { self }
}

public struct EnvironmentValues {
    public var scenePhase: ScenePhase { .active }
    public var accessibilityReduceMotion: Bool { false }
    public var dismiss: DismissAction { DismissAction() }
    public var openURL: OpenURLAction { OpenURLAction() }
}

/// Declared by Accessibility.
public enum AccessibilityNotification {
    public struct Announcement {
        public init(_ announcement: AttributedString) {}
        public func post() {}
    }
}

public struct DismissAction {
    @MainActor public func callAsFunction() {}
}

public struct OpenURLAction {
    @MainActor public func callAsFunction(_ url: URL) {}
}

@MainActor public func withAnimation<R>(_ animation: Animation? = .default, _ body: () throws -> R) rethrows -> R {
    try body()
}
