# SPDX-License-Identifier: Apache-2.0
# The ways in for people and for CI; CMakeLists.txt has the build itself.

# Compile jobs at once.
JOBS ?= $(shell nproc)
# ccache, where it is there, must overlook time stamps to keep what uses precompiled headers.
export CCACHE_SLOPPINESS ?= pch_defines,time_macros,include_file_mtime,include_file_ctime
LAUNCHER = $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache \
  -DCMAKE_CXX_COMPILER_LAUNCHER=ccache '-DCMAKE_CXX_FLAGS=-Xclang -fno-pch-timestamp')

CROSS_LAUNCHER = $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)

EXAMPLE := examples/efficientnet_lite0
SUITES = $(wildcard tests/*/run.py)

.DEFAULT_GOAL := help
.PHONY: help setup build demo tests test unit suites models cross sanitize fuzz format check-format clean

help:  ## show this list
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup:  ## install what building needs (apt, with sudo where not root)
	@scripts/setup build

build: setup  ## build the command and the libraries into build/
	cmake --preset release $(LAUNCHER)
	cmake --build build --parallel $(JOBS) --target tilewright tilewright_runtime

demo: build  ## compile EfficientNet-Lite0 and name what is on a photo
	@scripts/setup demo
	@$(EXAMPLE)/demo

tests: build  ## build the tests, too
	cmake --build build --parallel $(JOBS)

test: tests  ## build the tests, install the peers, then run every test
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory suites

unit:  ## run the unit tests of what is built
	ctest --preset release --parallel $(JOBS) --no-tests=error

models:  ## fetch and export the models that tests and benchmarks use into build/models
	@scripts/setup test bench
	.venv-test/bin/python tests/models/prepare.py
	.venv-bench/bin/python benchmarks/export_models.py
	.venv-bench/bin/python benchmarks/integer_models.py

# Processors that the runtime is cross-built for, by their presets.
CROSS = aarch64-linux-gnu riscv64-linux-gnu

cross:  ## build the runtime for other processors into build/<triple>/
	@scripts/setup cross
	@set -e; for preset in $(CROSS); do \
	  cmake --preset $$preset $(CROSS_LAUNCHER); \
	  cmake --build build/$$preset --parallel $(JOBS); \
	done

suites: models cross  ## run the suites that compare with peers: each tests/*/run.py
	@set -e; for suite in $(SUITES); do \
	  echo "==> $$suite"; .venv-test/bin/python $$suite; \
	done

# The test programs that have been brought through the sanitizers; the last two call the command, with all layers.
SANITIZED = runtime ir target arith tir te schedule graph op transform codegen_llvm frontend_onnx driver command malformed

sanitize: setup  ## run the tests that need no peers under the sanitizers
	cmake --preset asan $(LAUNCHER)
	cmake --build build/asan --parallel $(JOBS) --target $(SANITIZED:%=%_test)
	ctest --preset asan --parallel $(JOBS) --label-regex 'unit|malformed' --no-tests=error
	cmake --preset tsan $(LAUNCHER)
	cmake --build build/tsan --parallel $(JOBS) --target runtime_test
	build/tsan/bin/runtime_test --gtest_brief=1

FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 1

fuzz: setup  ## run each fuzz program for FUZZ_SECONDS (60), under the address sanitizer
	@scripts/setup test
	cmake --preset asan $(LAUNCHER)
	cmake --build build/asan --parallel $(JOBS) --target tilewright fuzz_onnx fuzz_graph fuzz_kernel fuzz_module
	.venv-test/bin/python tests/fuzz/fuzz.py --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

SOURCES = $(shell git ls-files '*.cc' '*.h' '*.c')

format: setup  ## lay out the C and C++ sources
	@clang-format-19 -i $(SOURCES)

check-format: setup  ## fail where a source is not laid out so
	@clang-format-19 --dry-run --Werror $(SOURCES)

clean:  ## remove what was built (the virtual environments stay)
	rm -rf build
