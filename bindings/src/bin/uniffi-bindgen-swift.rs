//! Generates the Swift code, its C header and its module map from the built library, laid out for the Swift package
//! manager. Run it inside the workspace: it locates the crate's `uniffi.toml` with cargo.

fn main() {
    uniffi::uniffi_bindgen_swift();
}
