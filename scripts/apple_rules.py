"""The tables of check-apple-project.py: what Apple and XcodeGen accept, as far as this project uses it."""

DAY = "2026-11-30"
LANGUAGES = ["en", "ru"]

# XcodeGen's project specification.
PROJECT_KEYS = {"name", "options", "configs", "settings", "packages", "targets", "schemes"}
TARGET_KEYS = {"type", "platform", "sources", "dependencies", "info", "settings", "scheme"}
TARGET_TYPES = {"application", "bundle.unit-test", "bundle.ui-testing"}
SCHEME_KEYS = {"build", "run", "test", "archive"}
ASSET_SETTINGS = {
    "ASSETCATALOG_COMPILER_APPICON_NAME": "appiconset",
    "ASSETCATALOG_COMPILER_GLOBAL_ACCENT_COLOR_NAME": "colorset",
}

# `paid`: a team without a membership of the developer program cannot sign it.
ENTITLEMENTS = {
    "com.apple.developer.kernel.increased-memory-limit": "free",
    "com.apple.developer.kernel.extended-virtual-addressing": "paid",
}

INFO_KEYS = {
    "CFBundleDisplayName": str,
    "CFBundleShortVersionString": str,
    "CFBundleVersion": str,
    "CFBundleLocalizations": list,
    "UILaunchScreen": dict,
    "UIApplicationSceneManifest": dict,
    "UISupportedInterfaceOrientations": list,
    "UISupportedInterfaceOrientations~ipad": list,
    "ITSAppUsesNonExemptEncryption": bool,
    "NSLocalNetworkUsageDescription": str,
}
INFO_REQUIRED = [f"CFBundle{part}" for part in ("DisplayName", "ShortVersionString", "Version", "Localizations")]
INFO_REQUIRED.append("UILaunchScreen")
ORIENTATIONS = {f"UIInterfaceOrientation{way}" for way in ("Portrait", "PortraitUpsideDown", "LandscapeLeft", "LandscapeRight")}

# Privacy manifest files, and the reasons for APIs that require one.
PRIVACY_KEYS = {
    "NSPrivacyTracking": bool,
    "NSPrivacyTrackingDomains": list,
    "NSPrivacyCollectedDataTypes": list,
    "NSPrivacyAccessedAPITypes": list,
}
API_REASONS = {
    "FileTimestamp": {"DDA9.1", "C617.1", "3B52.1", "0A2A.1"},
    "SystemBootTime": {"35F9.1", "8FFB.1", "3D61.1"},
    "DiskSpace": {"85F4.1", "E174.1", "7D9E.1", "B728.1"},
    "ActiveKeyboards": {"3EC4.1", "54BD.1"},
    "UserDefaults": {"CA92.1", "1C8F.1", "C56D.1", "AC6B.1"},
}
COLLECTED_KEYS = [f"NSPrivacyCollectedDataType{part}" for part in ("", "Linked", "Tracking", "Purposes")]
COLLECTED_TYPES = set(
    """Name EmailAddress PhoneNumber PhysicalAddress OtherUserContactInfo Health Fitness PaymentInfo CreditInfo OtherFinancialInfo
    PreciseLocation CoarseLocation SensitiveInfo Contacts EmailsOrTextMessages PhotosorVideos AudioData GameplayContent
    CustomerSupport OtherUserContent BrowsingHistory SearchHistory UserID DeviceID PurchaseHistory ProductInteraction
    AdvertisingData OtherUsageData CrashData PerformanceData OtherDiagnosticData EnvironmentScanning Hands Head
    OtherDataTypes""".split()
)
PURPOSES = set("ThirdPartyAdvertising DeveloperAdvertising Analytics ProductPersonalization AppFunctionality Other".split())

APPEARANCES = {("luminosity", "dark"), ("luminosity", "light"), ("luminosity", "tinted"), ("contrast", "high")}
