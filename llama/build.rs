//! Compiles the C++ shim against the llama.cpp that `llama-cpp-sys-2` carries and has already built.
//!
//! `llama-cpp-sys-2` says where its build lies (`DEP_LLAMA_ROOT`); CMake's cache in there says where its sources lie.
//! The static libraries and the C++ runtime are linked by that crate; ours only has to come before them, and it does,
//! because Cargo puts a crate's own libraries before those of what it depends on.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/shim");
    let Some(root) = env::var_os("DEP_LLAMA_ROOT").map(PathBuf::from) else {
        panic!("llama-cpp-sys-2 does not say where it was built (`DEP_LLAMA_ROOT`)");
    };
    let source = llama_source(&root.join("build").join("CMakeCache.txt"));
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        // The headers are not ours to fix.
        .warnings(false)
        .include("src/shim")
        .include(source.join("include"))
        .include(source.join("src"))
        .include(source.join("ggml").join("include"))
        .include(source.join("common"))
        .include(source.join("vendor"))
        .files([
            "src/shim/guard.cpp",
            "src/shim/model.cpp",
            "src/shim/sampler.cpp",
            "src/shim/chat.cpp",
        ])
        .compile("nearside_llama_shim");
}

fn llama_source(cache: &Path) -> PathBuf {
    let text = fs::read_to_string(cache).unwrap_or_else(|error| panic!("{}: {error}", cache.display()));
    text.lines()
        .find_map(|line| line.strip_prefix("CMAKE_HOME_DIRECTORY:INTERNAL="))
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{}: no CMAKE_HOME_DIRECTORY", cache.display()))
}
