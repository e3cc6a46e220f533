# The one entry point: whatever is done to this project is a line here, and CI calls the same lines.
# `make` alone lists them. The work itself is in scripts/, where shellcheck reads it.

.PHONY: help demo setup build models test lint fmt bindings bench overhead peers size docs clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	@scripts/peers.sh
	@scripts/test.sh

lint: ## what can be judged without running: format, clippy, docs, scripts, the rules of the house
	@scripts/setup.sh build test
	@scripts/build.sh
	@scripts/lint.sh

fmt: ## formats the Rust code
	@cargo fmt --all

bindings: setup ## the Swift package and the Kotlin library, generated and compiled
	@scripts/bindings.sh

bench: build ## speed and memory on SmolLM2, beside llama.cpp's own program where `make peers` was run
	@scripts/bench.sh

overhead: build ## what Nearside adds to an answer from a provider, beside a bare HTTP client
	@cargo run --release --quiet -p nearside-tests --bin nearside-overhead

peers: ## llama.cpp's own programs to measure against, into ~/.cache/nearside (Debian)
	@scripts/peers.sh

size: setup ## the library as an app gets it: bytes, stripped (compiles llama.cpp once more)
	@scripts/size.sh

docs: setup ## the API's documentation, in target/doc
	@cargo doc --release --workspace --lib --no-deps

clean: ## removes what was built; models and peers stay
	@cargo clean
