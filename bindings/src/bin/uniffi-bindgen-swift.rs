//! Writes the Swift, its C header and its module map from the built library, laid out for the Swift package manager.
//! Run it inside the workspace: it asks cargo for the crate's `uniffi.toml`.

fn main() {
    uniffi::uniffi_bindgen_swift();
}
