// A stub: colours, type, shapes and layout values. See View.swift.

public protocol ShapeStyle: Sendable {}

public struct Color: ShapeStyle, Hashable {
    public static let red = Color("")
    public static let clear = Color("")
    public init(_ name: String, bundle: Bundle? = nil) {}
    public func opacity(_ opacity: Double) -> Color { self }
}
extension Color: Leaf {}

public struct HierarchicalShapeStyle: ShapeStyle {}
public struct BackgroundStyle: ShapeStyle {}
public struct Material: ShapeStyle {}
extension ShapeStyle where Self == HierarchicalShapeStyle {
    public static var secondary: HierarchicalShapeStyle { HierarchicalShapeStyle() }
    public static var tertiary: HierarchicalShapeStyle { HierarchicalShapeStyle() }
}
extension ShapeStyle where Self == BackgroundStyle {
    public static var background: BackgroundStyle { BackgroundStyle() }
}
extension ShapeStyle where Self == Material {
    public static var bar: Material { Material() }
    public static var regularMaterial: Material { Material() }
}

public struct Font: Sendable, Hashable {
    public enum Weight: Sendable { case medium, semibold, bold }
    public static let largeTitle = Font()
    public static let title2 = Font()
    public static let title3 = Font()
    public static let headline = Font()
    public static let subheadline = Font()
    public static let body = Font()
    public static let footnote = Font()
    public static let caption = Font()
    public static let caption2 = Font()
    public func weight(_ weight: Weight) -> Font { self }
    public func monospaced() -> Font { self }
    public func monospacedDigit() -> Font { self }
}

public protocol Shape: Sendable, View {}
public protocol InsettableShape: Shape {}
extension Shape {
    public func fill<S: ShapeStyle>(_ style: S) -> some View { self }
}
extension InsettableShape {
    public func strokeBorder<S: ShapeStyle>(_ style: S, lineWidth: CGFloat = 1) -> some View { self }
}
public struct Rectangle: InsettableShape { public nonisolated init() {} }
public struct Capsule: InsettableShape { public nonisolated init() {} }
public struct RoundedRectangle: InsettableShape { public nonisolated init(cornerRadius: CGFloat) {} }
extension Rectangle: Leaf {}
extension Capsule: Leaf {}
extension RoundedRectangle: Leaf {}

public struct Alignment: Sendable {
    public static let leading = Alignment()
    public static let trailing = Alignment()
    public static let center = Alignment()
}
public enum HorizontalAlignment: Sendable { case leading, center, trailing }
public struct VerticalAlignment: Sendable {
    public static let top = VerticalAlignment()
    public static let center = VerticalAlignment()
    public static let bottom = VerticalAlignment()
    public static let firstTextBaseline = VerticalAlignment()
}
public enum TextAlignment: Sendable { case leading, center, trailing }
public enum Edge: Sendable { case top, leading, bottom, trailing }
extension Edge {
    public struct Set: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let top = Set(rawValue: 1)
        public static let leading = Set(rawValue: 2)
        public static let bottom = Set(rawValue: 4)
        public static let trailing = Set(rawValue: 8)
        public static let horizontal: Set = [.leading, .trailing]
        public static let vertical: Set = [.top, .bottom]
        public static let all: Set = [.horizontal, .vertical]
    }
}
public enum VerticalEdge: Sendable { case top, bottom }
public enum HorizontalEdge: Sendable { case leading, trailing }
public enum Axis: Sendable { case horizontal, vertical }
extension Axis {
    public struct Set: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let horizontal = Set(rawValue: 1)
        public static let vertical = Set(rawValue: 2)
    }
}
public struct UnitPoint: Sendable, Hashable {
    public static let bottom = UnitPoint()
    public static let top = UnitPoint()
}
public struct Animation: Sendable, Hashable { public static let `default` = Animation() }
public struct AnyTransition: Sendable { public static let opacity = AnyTransition() }
public struct AccessibilityTraits: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let isButton = AccessibilityTraits(rawValue: 1)
    public static let isHeader = AccessibilityTraits(rawValue: 2)
    public static let isSelected = AccessibilityTraits(rawValue: 4)
}
public struct AccessibilityChildBehavior: Sendable {
    public static let combine = AccessibilityChildBehavior()
    public static let contain = AccessibilityChildBehavior()
    public static let ignore = AccessibilityChildBehavior()
}
public struct KeyEquivalent: Sendable, ExpressibleByExtendedGraphemeClusterLiteral {
    public static let `return` = KeyEquivalent(extendedGraphemeClusterLiteral: "\r")
    public init(extendedGraphemeClusterLiteral value: Character) {}
}
public struct EventModifiers: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let command = EventModifiers(rawValue: 1)
}
public enum ControlSize: Sendable { case mini, small, regular, large, extraLarge }
public enum Visibility: Sendable { case automatic, visible, hidden }
public struct PresentationDetent: Sendable, Hashable {
    public static let medium = PresentationDetent()
    public static let large = PresentationDetent()
}
public struct SensoryFeedback: Sendable { public static let success = SensoryFeedback() }
public struct TextInputAutocapitalization: Sendable {
    public static let never = TextInputAutocapitalization()
    public static let characters = TextInputAutocapitalization()
}
/// UIKit's.
public struct UIKeyboardType: Sendable {
    public static let decimalPad = UIKeyboardType()
    // swift-format-ignore: AlwaysUseLowerCamelCase
    public static let URL = UIKeyboardType()
}
