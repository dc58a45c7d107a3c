# A thin door to Meson; every target says what it is doing.
.PHONY: all build run test live sweep exhaustive bench asan tsan mutants fuzz install lint format packages clean
BUILD ?= build
JOBS ?= 2

all: build

packages:
	@tools/install-packages

build: packages
	@tools/configure $(BUILD)
	@tools/build $(BUILD) $(JOBS)

# A cluster of three on this machine, clients at 127.0.0.1:7001-7003, until Ctrl-C. Tests are not built for it.
run: packages
	@tools/configure $(BUILD)
	@tools/build $(BUILD) $(JOBS) moot
	@$(BUILD)/moot up --nodes 3 --port 7001 --dir ./moot-data

test: build
	@tests/run --build $(BUILD)

# The tests with real processes, with a minute of kills.
live: build
	@MOOT_LIVE_SECONDS=60 tests/run --build $(BUILD) tests/live

# Worlds in virtual time under faults, from a random seed on: make sweep MINUTES=60
MINUTES ?= 10
sweep: build
	@MOOT=$(BUILD)/moot tools/sweep $(MINUTES) $(OPS)

# The worst moment by trying all: each write, sync, allocation ... fails in turn, in a dozen short worlds. FOR names worlds or kinds.
exhaustive: build
	@tools/exhaustive --build $(BUILD) --jobs $(JOBS) $(FOR)

# moot beside others on this machine, about two hours: make bench ARGS=--quick takes minutes.
bench: build
	@MOOT_BUILD=$(CURDIR)/$(BUILD) bench/run $(ARGS)

# Sanitizers make gcc warn of what is not there; warnings are the plain build's business.
QUIET = -Dwerror=false -Dc_args=-w

# The same tests under sanitizers; FOR names some of them: make asan FOR=unit. Nodes whose clocks are wrong run under
# libfaketime, which comes before the sanitizer's run time, and that is all right.
asan: packages
	@tools/configure build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dslow_asserts=true $(QUIET)
	@tools/build build-asan $(JOBS)
	@LSAN_OPTIONS=print_suppressions=0 ASAN_OPTIONS=verify_asan_link_order=0:log_path=$(CURDIR)/build-asan/report \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:log_path=$(CURDIR)/build-asan/report \
		MOOT_REPORTS=$(CURDIR)/build-asan/report tests/run --build build-asan $(FOR)

tsan: packages
	@tools/configure build-tsan -Db_sanitize=thread -Db_lundef=false $(QUIET)
	@tools/build build-tsan $(JOBS)
	@TSAN_OPTIONS=halt_on_error=1:print_suppressions=0:suppressions=$(CURDIR)/tests/tsan.supp:log_path=$(CURDIR)/build-tsan/report \
		MOOT_REPORTS=$(CURDIR)/build-tsan/report tests/run --build build-tsan $(FOR)

# Every safety rule turned off in turn; each must be missed by some test, and one by each scenario. FOR names some: make mutants FOR=raft_
MUTANT_TESTS = $(basename $(notdir $(wildcard tests/unit/*_test.c tests/paper/*_test.c)))
mutants: packages
	@tools/configure build-mutants -Dmutants=true
	@tools/build build-mutants $(JOBS) moot $(MUTANT_TESTS)
	@tools/mutants build-mutants --jobs $(JOBS) $(FOR)
	@$(if $(FOR),:,MOOT=$(CURDIR)/build-mutants/moot tests/sim/scenarios.test)

# Each fuzzer for SECONDS, with address and undefined-behaviour sanitizers.
SECONDS ?= 20
fuzz: packages
	@CC=clang-14 tools/configure build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
		-Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
	@tools/build build-fuzz $(JOBS)
	@tools/run-fuzzers build-fuzz $(SECONDS)

# To /usr/local, or to PREFIX if it was set when the build folder was made; DESTDIR works.
install: build
	@meson install -C $(BUILD) --no-rebuild

# What tests/lint checks, and clang-tidy, which is too slow for every test run.
lint: build
	@tests/run --build $(BUILD) tests/lint
	@tools/check-tidy $(BUILD) $(JOBS)

format:
	@find src include tests bench examples -name '*.[ch]' 2>/dev/null | xargs clang-format-14 -i

clean:
	rm -rf build build-*
