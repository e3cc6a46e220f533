# The one entry point: whatever is done to this project is a line here, and CI calls the same lines.
# `make` alone lists them. The work itself is in scripts/, where shellcheck reads it.

.PHONY: help demo setup build models test lint fmt bindings app screenshots android apple check-phones bench overhead peers size docs clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## a real model: does it fit, fetch it, ask it (10 to 15 minutes the first time, then seconds)
	@scripts/demo.sh

setup: ## installs what the build needs and this machine lacks (Debian, Ubuntu; elsewhere it says what)
	@scripts/setup.sh build

build: setup ## the programs `nearside` and `nearside-hub`, in target/release
	@scripts/build.sh

models: ## the models that tests and measurements use, into ~/.cache/nearside
	@scripts/models.sh

test: ## every test, in Rust, Kotlin and Swift; the last line counts them
	@scripts/setup.sh build test models
	@scripts/models.sh
	@scripts/fetch-llama-cpp.sh
	@scripts/test.sh

lint: ## what can be judged without running: format, clippy, docs, scripts, the rules of the house
	@scripts/setup.sh build test
	@scripts/build.sh
	@scripts/lint.sh

fmt: ## formats the Rust and the Kotlin code
	@cargo fmt --all
	@scripts/kotlin.sh format

bindings: setup ## the Swift package and the Kotlin library, generated and compiled
	@scripts/bindings.sh

app: setup ## the sample app in a window on this desktop, with the real library
	@scripts/app.sh run

screenshots: setup ## every screen of the Android sample as a PNG, in target/screenshots
	@scripts/app.sh screenshots

android: setup ## the Kotlin library as an AAR and a jar (needs the Android NDK and Gradle)
	@scripts/kotlin.sh android

apple: setup ## the Swift package with its XCFramework (needs a Mac with Xcode)
	@scripts/apple.sh

check-phones: setup ## the Rust, type-checked for iOS, its simulator and Android
	@scripts/setup.sh build models
	@scripts/check-mobile.sh check

bench: build ## speed and memory beside llama.cpp's own program, what Kotlin and Swift add, a large archive (10 minutes)
	@scripts/bench.sh

overhead: build ## what Nearside adds to an answer from a provider, beside a bare HTTP client
	@cargo run --release --quiet -p nearside-tests --bin nearside-overhead

peers: ## llama.cpp's own programs to measure against, into ~/.cache/nearside (Debian)
	@scripts/fetch-llama-cpp.sh

size: setup ## the library as an app gets it: bytes, stripped (compiles llama.cpp once more)
	@scripts/size.sh

docs: setup ## the API's documentation, in target/doc
	@cargo doc --release --workspace --lib --no-deps

clean: ## removes what was built; models and peers stay
	@cargo clean
