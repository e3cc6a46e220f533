# shellcheck shell=bash disable=SC2034,SC2054,SC2154
# Functions that build the library as apps ship it: small, with UniFFI's symbols only. Sourced after paths.sh.
#
# For Android the Rust code becomes a static library (profile `mobile`), because cargo optimises the whole program only for a library that
# is of one kind; the linker then makes the shared library of Android from it. docs/adr/0031-the-library-that-apps-ship.md says
# what each flag saves.

# SQLite without the parts that nothing here calls; libsqlite3-sys turns several of them on.
small_sqlite=(-USQLITE_ENABLE_COLUMN_METADATA -USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS
  -USQLITE_ENABLE_LOAD_EXTENSION -USQLITE_ENABLE_MEMORY_MANAGEMENT -USQLITE_ENABLE_RTREE -USQLITE_ENABLE_STAT4 -USQLITE_SOUNDEX
  -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_OMIT_AUTHORIZATION -DSQLITE_OMIT_COMPILEOPTION_DIAGS -DSQLITE_OMIT_DECLTYPE
  -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_EXPLAIN -DSQLITE_OMIT_INTROSPECTION_PRAGMAS -DSQLITE_OMIT_JSON
  -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_PROGRESS_CALLBACK -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_OMIT_TCL_VARIABLE
  -DSQLITE_OMIT_TRACE -DSQLITE_UNTESTABLE)

# The variables for cargo, to be put before a command with `env`. CFLAGS is for SQLite and ring, through whose frames no
# exception passes; llama/small.cmake turns the tables on again for llama.cpp.
small_environment=("CMAKE_PROJECT_INCLUDE=$root/llama/small.cmake" "LIBSQLITE3_FLAGS=${small_sqlite[*]}"
  CFLAGS=-fno-asynchronous-unwind-tables)

# What cargo builds: to be followed by a target and features.
small_build=(rustc --profile mobile --locked --package nearside-ffi --lib --crate-type staticlib)

# Flags of the linker, which must be lld. Folding equal functions is safe here: ggml compares the addresses of functions that
# differ, and Rust gives no address a meaning.
small_link=(-shared -Wl,--version-script="$root/bindings/exports.map" -Wl,-u,ffi_nearside_ffi_uniffi_contract_version
  -Wl,--gc-sections -Wl,--icf=all -Wl,--ignore-data-address-equality -Wl,-O2 -Wl,--no-undefined
  -Wl,--as-needed -Wl,--strip-all -Wl,-z,relro,-z,now,-z,noexecstack)

# Relocations as Android 9 reads them, and segments for pages of 16 KB, which Google Play requires.
small_link_android=(-Wl,--pack-dyn-relocs=android+relr -Wl,--use-android-relr-tags -Wl,-z,max-page-size=16384)
