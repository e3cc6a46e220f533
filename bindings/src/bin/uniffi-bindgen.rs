//! Generates the Kotlin code (or that of another language of UniFFI) from the built library.
//! Run it inside the workspace: it locates the crate's `uniffi.toml` with cargo.

fn main() {
    uniffi::uniffi_bindgen_main();
}
