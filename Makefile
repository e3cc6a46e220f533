# The entry point of every task; CI calls the same targets. `make` alone lists them. The work is in scripts/, which
# shellcheck checks; scripts/README.md lists the scripts.

.PHONY: help demo setup build models test lint fmt bindings app screenshots android apple check-phones bench overhead sanitize peers size docs clean
.DEFAULT_GOAL := help

help: ## prints this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## checks, downloads and runs a real model (10 to 15 minutes the first time, then seconds)
	@scripts/demo.sh

setup: ## installs missing build tools (Debian, Ubuntu; names them on other systems)
	@scripts/setup.sh build

build: setup ## builds all programs, such as `nearside` and `nearside-hub`, into target/release
	@scripts/build.sh

models: ## downloads the models of tests and benchmarks into ~/.cache/nearside
	@scripts/models.sh

test: ## runs all tests, in Rust, Kotlin and Swift; the last line counts them
	@scripts/setup.sh build test models
	@scripts/models.sh
	@scripts/fetch-llama-cpp.sh
	@scripts/test.sh

lint: ## runs all static checks: format, clippy, docs, scripts, the rules of CONTRIBUTING.md
	@scripts/setup.sh build test
	@scripts/build.sh
	@scripts/lint.sh

fmt: ## formats the Rust and Kotlin code
	@cargo fmt --all
	@scripts/kotlin.sh format

bindings: setup ## generates and compiles the Swift package and the Kotlin library
	@scripts/bindings.sh

app: setup ## runs the Android sample in a window on this desktop, with the real library
	@scripts/app.sh run

screenshots: setup ## writes every screen of the Android sample as a PNG to target/screenshots
	@scripts/app.sh screenshots

android: setup ## writes the Kotlin artifacts into the Maven folder target/maven (needs the Android NDK)
	@scripts/kotlin.sh android

apple: setup ## builds the Swift package with its XCFramework (needs a Mac with Xcode)
	@scripts/apple.sh

check-phones: setup ## compiles the Rust code for iOS, its simulator and Android, and links it
	@scripts/setup.sh build models
	@scripts/check-mobile.sh check

bench: build ## measures speed, memory, cancels, the same from Kotlin and Swift, and a large archive (20 minutes)
	@scripts/bench.sh

overhead: build ## measures Nearside's overhead on a provider's answer against a bare HTTP client
	@cargo run --release --quiet -p nearside-bench --bin nearside-overhead

sanitize: setup ## runs the tests of the C++ under AddressSanitizer, and those of the threads under ThreadSanitizer (an hour the first time)
	@scripts/sanitize.sh

peers: ## downloads llama.cpp's own programs, for comparison, into ~/.cache/nearside (Debian)
	@scripts/fetch-llama-cpp.sh

size: setup ## prints the size of the library as apps ship it (compiles llama.cpp once more)
	@scripts/size.sh

docs: setup ## writes the API documentation to target/doc
	@cargo doc --release --workspace --lib --no-deps

clean: ## removes the build output; downloads stay
	@cargo clean
