// A stub of controls. See View.swift.

// MARK: - Text

public struct Text: Sendable, Equatable {
    public init(verbatim: String) {}
    @_disfavoredOverload public init<S: StringProtocol>(_ content: S) {}
    public init(_ content: AttributedString) {}
    public init<F: FormatStyle>(_ input: F.FormatInput, format: F)
    where F.FormatInput: Equatable, F.FormatOutput == String {}
    public func font(_ font: Font?) -> Text { self }
    public func bold() -> Text { self }
    public func italic() -> Text { self }
    public func monospaced(_ isActive: Bool = true) -> Text { self }
    public func strikethrough(_ isActive: Bool = true) -> Text { self }
    public func monospacedDigit() -> Text { self }
    public func foregroundStyle<S: ShapeStyle>(_ style: S) -> Text { self }
    public static func + (a: Text, b: Text) -> Text { a }
}
extension Text: Leaf {}

// Foundation declares these on Apple's systems only.
public struct InlinePresentationIntent: OptionSet, Hashable, Sendable {
    public let rawValue: UInt
    public init(rawValue: UInt) { self.rawValue = rawValue }
    public static let emphasized = InlinePresentationIntent(rawValue: 1)
    public static let stronglyEmphasized = InlinePresentationIntent(rawValue: 2)
    public static let code = InlinePresentationIntent(rawValue: 4)
    public static let strikethrough = InlinePresentationIntent(rawValue: 32)
}
extension AttributedString {
    public var inlinePresentationIntent: InlinePresentationIntent? {
        get { nil }
        set {}
    }
}

public struct Image: Sendable, Equatable { public init(systemName: String) {} }
extension Image: Leaf {}

public struct Label<Title: View, Icon: View>: Leaf {
    public init(@ViewBuilder title: () -> Title, @ViewBuilder icon: () -> Icon) {}
}
extension Label where Title == Text, Icon == Image {
    public init<S: StringProtocol>(_ title: S, systemImage: String) {
        self.init {
        } icon: {
        }
    }
    private init(_ title: () -> Void, icon: () -> Void) {}
}

public struct Link<Label: View>: Leaf { public init(destination: URL, @ViewBuilder label: () -> Label) {} }
public struct ShareLink: Leaf { public init(item: URL) {} }
public struct Divider: Leaf { public init() {} }
public struct Spacer: Leaf { public init(minLength: CGFloat? = nil) {} }

// MARK: - Layout

public struct VStack<Content: View>: Leaf {
    public init(alignment: HorizontalAlignment = .center, spacing: CGFloat? = nil, @ViewBuilder content: () -> Content)
    {}
}
public struct LazyVStack<Content: View>: Leaf {
    public init(alignment: HorizontalAlignment = .center, spacing: CGFloat? = nil, @ViewBuilder content: () -> Content)
    {}
}
public struct HStack<Content: View>: Leaf {
    public init(alignment: VerticalAlignment = .center, spacing: CGFloat? = nil, @ViewBuilder content: () -> Content) {}
}
public struct Grid<Content: View>: Leaf {
    public init(
        alignment: Alignment = .center, horizontalSpacing: CGFloat? = nil, verticalSpacing: CGFloat? = nil,
        @ViewBuilder content: () -> Content
    ) {}
}
public struct GridRow<Content: View>: Leaf { public init(@ViewBuilder content: () -> Content) {} }
public struct ViewThatFits<Content: View>: Leaf { public init(@ViewBuilder content: () -> Content) {} }
public struct ScrollView<Content: View>: Leaf {
    public init(_ axes: Axis.Set = .vertical, @ViewBuilder content: () -> Content) {}
}
public struct ScrollViewReader<Content: View>: Leaf {
    public init(@ViewBuilder content: @escaping (ScrollViewProxy) -> Content) {}
}
public struct ScrollViewProxy {
    @MainActor public func scrollTo<ID: Hashable>(_ id: ID, anchor: UnitPoint? = nil) {}
}

public struct ForEach<Data: RandomAccessCollection, ID: Hashable, Content> {}
extension ForEach: View, Leaf where Content: View {
    public typealias Body = Never
    public init(_ data: Data, id: KeyPath<Data.Element, ID>, @ViewBuilder content: @escaping (Data.Element) -> Content)
    {}
}
extension ForEach where Content: View, Data.Element: Identifiable, ID == Data.Element.ID {
    public init(_ data: Data, @ViewBuilder content: @escaping (Data.Element) -> Content) {}
}

public struct List<Content: View>: Leaf {
    public init(@ViewBuilder content: () -> Content) {}
    public init<Data: RandomAccessCollection, Row: View>(
        _ data: Data, @ViewBuilder rowContent: @escaping (Data.Element) -> Row
    ) where Content == ForEach<Data, Data.Element.ID, Row>, Data.Element: Identifiable {}
}
public struct Form<Content: View>: Leaf { public init(@ViewBuilder content: () -> Content) {} }
public struct Section<Parent, Content, Footer> {}
extension Section: View, Leaf where Parent: View, Content: View, Footer: View {
    public typealias Body = Never
    public init(
        @ViewBuilder content: () -> Content, @ViewBuilder header: () -> Parent, @ViewBuilder footer: () -> Footer
    ) {}
}
extension Section where Parent == EmptyView, Content: View, Footer == EmptyView {
    public init(@ViewBuilder content: () -> Content) {}
}
extension Section where Parent == EmptyView, Content: View, Footer: View {
    public init(@ViewBuilder content: () -> Content, @ViewBuilder footer: () -> Footer) {}
}
extension Section where Parent: View, Content: View, Footer == EmptyView {
    public init(@ViewBuilder content: () -> Content, @ViewBuilder header: () -> Parent) {}
}
extension Section where Parent == Text, Content: View, Footer == EmptyView {
    public init<S: StringProtocol>(_ title: S, @ViewBuilder content: () -> Content) {}
}

// MARK: - Navigation

public struct NavigationStack<Root: View>: Leaf { public init(@ViewBuilder root: () -> Root) {} }
public struct NavigationSplitViewColumn: Sendable, Hashable {
    public static let sidebar = NavigationSplitViewColumn()
    public static let detail = NavigationSplitViewColumn()
}
public struct NavigationSplitView<Sidebar: View, Detail: View>: Leaf {
    public init(
        preferredCompactColumn: Binding<NavigationSplitViewColumn>, @ViewBuilder sidebar: () -> Sidebar,
        @ViewBuilder detail: () -> Detail
    ) {}
}
public struct NavigationLink<Label: View, Destination: View>: Leaf {
    public init(@ViewBuilder destination: () -> Destination, @ViewBuilder label: () -> Label) {}
}
public struct TabView<Selection: Hashable, Content: View>: Leaf {
    public init(selection: Binding<Selection>?, @ViewBuilder content: () -> Content) {}
}

// MARK: - Controls

public struct ButtonRole: Sendable, Equatable {
    public static let cancel = ButtonRole()
    public static let destructive = ButtonRole()
}
public struct Button<Label: View>: Leaf {
    public init(action: @escaping @MainActor () -> Void, @ViewBuilder label: () -> Label) {}
    public init(role: ButtonRole?, action: @escaping @MainActor () -> Void, @ViewBuilder label: () -> Label) {}
}
extension Button where Label == Text {
    public init<S: StringProtocol>(_ title: S, action: @escaping @MainActor () -> Void) {}
    public init<S: StringProtocol>(_ title: S, role: ButtonRole?, action: @escaping @MainActor () -> Void) {}
}
public struct Menu<Label: View, Content: View>: Leaf {
    public init(@ViewBuilder content: () -> Content, @ViewBuilder label: () -> Label) {}
}
public struct Toggle<Label: View>: Leaf { public init(isOn: Binding<Bool>, @ViewBuilder label: () -> Label) {} }
extension Toggle where Label == Text { public init<S: StringProtocol>(_ title: S, isOn: Binding<Bool>) {} }
public struct Picker<Label: View, Selection: Hashable, Content: View>: Leaf {}
extension Picker where Label == Text {
    public init<S: StringProtocol>(_ title: S, selection: Binding<Selection>, @ViewBuilder content: () -> Content) {}
}
public struct TextField<Label: View>: Leaf {}
extension TextField where Label == Text {
    public init<S: StringProtocol>(_ title: S, text: Binding<String>) {}
    public init<S: StringProtocol>(_ title: S, text: Binding<String>, axis: Axis) {}
}
public struct SecureField<Label: View>: Leaf {}
extension SecureField where Label == Text { public init<S: StringProtocol>(_ title: S, text: Binding<String>) {} }
public struct ProgressView<Label: View>: Leaf {}
extension ProgressView where Label == EmptyView {
    public init() {}
    public init<V: BinaryFloatingPoint>(value: V?, total: V = 1.0) {}
}
extension ProgressView {
    public init(@ViewBuilder label: () -> Label) {}
    public init<V: BinaryFloatingPoint>(value: V?, total: V = 1.0, @ViewBuilder label: () -> Label) {}
}
public struct DisclosureGroup<Label: View, Content: View>: Leaf {
    public init(
        isExpanded: Binding<Bool>, @ViewBuilder content: @escaping () -> Content, @ViewBuilder label: () -> Label
    ) {}
}
public struct LabeledContent<Label, Content> {}
extension LabeledContent: View, Leaf where Label: View, Content: View {
    public typealias Body = Never
    public init(@ViewBuilder content: () -> Content, @ViewBuilder label: () -> Label) {}
}
extension LabeledContent where Label == Text, Content: View {
    public init<S: StringProtocol>(_ title: S, @ViewBuilder content: () -> Content) {}
}
extension LabeledContent where Label == Text, Content == Text {
    public init<S1: StringProtocol, S2: StringProtocol>(_ title: S1, value: S2) {}
}
public struct ContentUnavailableView<Label: View, Description: View, Actions: View>: Leaf {
    public init(
        @ViewBuilder label: () -> Label, @ViewBuilder description: () -> Description = { EmptyView() },
        @ViewBuilder actions: () -> Actions = { EmptyView() }
    ) {}
    fileprivate init() {}
}
extension ContentUnavailableView where Label == SwiftUI.Label<Text, Image>, Description == Text?, Actions == EmptyView {
    public init<S: StringProtocol>(_ title: S, systemImage: String, description: Text? = nil) { self.init() }
}
public struct SearchUnavailableContent {
    public struct Label: Leaf {}
    public struct Description: Leaf {}
    public struct Actions: Leaf {}
}
extension ContentUnavailableView
where
    Label == SearchUnavailableContent.Label, Description == SearchUnavailableContent.Description,
    Actions == SearchUnavailableContent.Actions
{
    public static func search(text: String) -> ContentUnavailableView { ContentUnavailableView() }
}
