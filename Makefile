# A thin door to Meson; every target says what it is doing.
.PHONY: all build test packages clean
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

clean:
	rm -rf build build-*
