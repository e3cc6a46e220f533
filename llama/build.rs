//! Compiles the C++ shim against the llama.cpp that `llama-cpp-sys-2` contains and has already built.
//!
//! `llama-cpp-sys-2` reports its build directory (`DEP_LLAMA_ROOT`); CMake's cache in it has the source directory. That
//! crate links the static libraries and the C++ runtime. The shim must be linked before them, which holds because Cargo
//! links a crate's own libraries before those of its dependencies.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/shim");
    let Some(root) = env::var_os("DEP_LLAMA_ROOT").map(PathBuf::from) else {
        panic!("llama-cpp-sys-2 does not report its build directory (`DEP_LLAMA_ROOT`)");
    };
    let source = llama_source(&root.join("build").join("CMakeCache.txt"));
    let mut build = cc::Build::new();
    // On Android `cc` would link the C++ runtime that is a library of its own, which no app has. llama-cpp-sys-2 links the
    // static one (its feature `static-stdcxx`), once for both.
    if env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|os| os == "android") {
        build.cpp_link_stdlib(None);
    }
    build
        .cpp(true)
        .std("c++17")
        // Warnings in llama.cpp's headers cannot be fixed here.
        .warnings(false)
        .include("src/shim")
        .include(source.join("include"))
        .include(source.join("src"))
        .include(source.join("ggml").join("include"))
        .include(source.join("common"))
        .include(source.join("vendor"))
        .files([
            "src/shim/guard.cpp",
            "src/shim/huge_pages.cpp",
            "src/shim/limits.cpp",
            "src/shim/model.cpp",
            "src/shim/no_quantizers.cpp",
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
