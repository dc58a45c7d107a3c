# A thin door to Meson; every target says what it is doing.
.PHONY: all build test lint format packages clean
BUILD ?= build
JOBS ?= 2

all: build

packages:
	@tools/install-packages

build: packages
	@tools/configure $(BUILD)
	@ninja -C $(BUILD) -j$(JOBS) --quiet

test: build
	@tests/run --build $(BUILD)

# What tests/lint checks, and clang-tidy, which is too slow for every test run.
lint: build
	@tests/run --build $(BUILD) tests/lint
	@tools/check-tidy $(BUILD) $(JOBS)

format:
	@find src include tests bench examples -name '*.[ch]' 2>/dev/null | xargs clang-format-14 -i

clean:
	rm -rf build build-*
