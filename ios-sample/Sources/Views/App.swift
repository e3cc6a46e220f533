@main struct NearsideSample { static func main() {} }
