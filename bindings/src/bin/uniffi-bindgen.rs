//! Writes the Kotlin (and, for the curious, any other language UniFFI knows) from the built library.
//! Run it inside the workspace: it asks cargo for the crate's `uniffi.toml`.

fn main() {
    uniffi::uniffi_bindgen_main();
}
