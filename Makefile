# SPDX-License-Identifier: Apache-2.0
# make          build/mintd, with useradm and deviceauth as links to it
# make run      install what is missing, make keys, database and a first user, serve on SQLite
# make check    install what the tests need, build, run every test
# make help     the other targets
# V=1 shows the commands; CC, CFLAGS, B (build directory), WERROR=1, SAN=address,undefined can be set.

B      ?= build
CC     := $(if $(filter default,$(origin CC)),gcc,$(CC))
CFLAGS ?= -O2 -g
PKGS    = libmicrohttpd libcrypto jansson libpcre2-8 libpq sqlite3 yaml-0.1 libxcrypt libcurl
VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PREFIX ?= /usr/local

WARN   = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
         $(if $(WERROR),-Werror)
HARDEN = $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
SANITIZE = $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# recursive variables: pkg-config is asked when a recipe runs, after `deps` had its turn
COMPILE = $(CC) -std=gnu2x -I. $(WARN) $(CFLAGS) $(HARDEN) $(SANITIZE) $(shell pkg-config --cflags $(PKGS)) -MMD -MP -c
LINK    = $(CC) $(CFLAGS) $(SANITIZE) -pie -Wl,-z,relro,-z,now -pthread
LIBS    = $(shell pkg-config --libs $(PKGS))
# a second make, after `deps`: on all cores unless -j was given
SUB     = --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
Q       = $(if $(V),,@)
say     = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

SRC     = $(sort $(wildcard lib/*.c keystore/*.c auth/*.c api/*.c cmd/*.c))
LIBOBJ  = $(patsubst %.c,$(B)/%.o,$(filter-out cmd/main.c,$(SRC))) $(B)/migrations.o
TESTS   = $(patsubst tests/%.c,$(B)/tests/%,$(sort $(wildcard tests/test_*.c)))
FUZZERS = $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
REPLAYS = $(patsubst %,$(B)/tests/fuzz/%_replay,$(FUZZERS))
BENCHES = $(patsubst tests/bench/%.c,$(B)/bench/%,$(sort $(wildcard tests/bench/bench_*.c)))

.PHONY: all tests run check model bench lint fmt asan tsan valgrind torture fuzz cover install clean deps deps-run deps-test deps-lint deps-bench help always
.SECONDARY:
.DELETE_ON_ERROR:

all: $(B)/mintd $(B)/useradm $(B)/deviceauth

help:
	@sed -n 's/^## //p' Makefile

$(B)/mintd: $(B)/cmd/main.o $(B)/libmintd.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(B)/useradm $(B)/deviceauth: $(B)/mintd
	$(Q)ln -sf mintd $@

$(B)/libmintd.a: $(LIBOBJ)
	$(Q)rm -f $@; ar qcs $@ $^

$(B)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D); $(COMPILE) -o $@ $<

$(B)/cmd/version.o: COMPILE += -DMINTD_VERSION='"$(VERSION)"'
$(B)/cmd/version.o: $(B)/version

# touched only when the text is another one
$(B)/version: always
	$(Q)mkdir -p $(@D); v='$(VERSION)'; [ "$$(cat $@ 2>/dev/null)" = "$$v" ] || echo "$$v" >$@

$(B)/migrations.o: $(B)/migrations.c
	$(Q)$(COMPILE) -o $@ $<

# Each migration becomes one string literal; the list is in file name order. NNNN_name.ENGINE.sql is for one engine.
$(B)/migrations.c: $(sort $(wildcard migrations/*.sql))
	$(Q)mkdir -p $(@D); { printf '#include "lib/migrate.h"\n\nconst struct migration migrate_list[] = {\n'; \
	  for f in $^; do name=$$(basename $$f .sql); printf '    {"%s",\n' "$${name%%.*}"; \
	    sed -e 's/\\/\\\\/g; s/"/\\"/g; s/.*/     "&\\n"/' $$f; \
	    case $$name in *.*) printf '     , "%s"' "$${name#*.}" ;; *) printf '     , NULL' ;; esac; printf '},\n'; done; \
	  printf '    {0},\n};\n'; } > $@

## make tests       build the test programs
tests: $(TESTS) $(REPLAYS)

$(B)/tests/libtests.a: $(patsubst %.c,$(B)/%.o,$(filter-out $(wildcard tests/test_*.c),$(wildcard tests/*.c)))
	$(Q)rm -f $@; ar rcs $@ $^

$(B)/tests/test_%: $(B)/tests/test_%.o $(B)/tests/libtests.a $(B)/libmintd.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(shell pkg-config --libs check libjwt)

# the functions of tests/torture/calls.h, and some that fault.c names, are wrapped
WRAPPED = $(shell sed -n 's|^ *X.\([A-Za-z0-9_]*\),.*|\1|p; s|^OWN.[^,]*, *\([A-Za-z0-9_]*\),.*|\1|p' tests/torture/*.[ch])
$(B)/tests/test_torture: $(B)/tests/test_torture.o $(patsubst %.c,$(B)/%.o,$(wildcard tests/torture/*.c)) \
                         $(B)/tests/libtests.a $(B)/libmintd.a
	$(call say,LINK,$@)
	$(Q)$(LINK) $(WRAPPED:%=-Wl,--wrap=%) -o $@ $^ $(LIBS) $(shell pkg-config --libs check libjwt)

$(B)/tests/fuzz/%_replay: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay.o $(B)/libmintd.a
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(B)/bench/%: $(B)/tests/bench/%.o $(B)/tests/bench/parts.o $(B)/libmintd.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D); $(LINK) -o $@ $^ $(LIBS) $(shell pkg-config --libs libjwt)

## make deps        install what the build needs (deps-test: and what tests need; deps-lint: and lint; deps-bench: and bench)
deps:
	@tests/deps.sh build
deps-test:
	@tests/deps.sh test
deps-lint:
	@tests/deps.sh lint
deps-run:
	@tests/deps.sh run
deps-bench:
	@tests/deps.sh bench

## make run         keys, database, a first user, and a server on SQLite in ./run
run: deps-run
	@$(MAKE) $(SUB) all
	@tests/run_demo.sh $(B)

## make check       every test; make check T=test_jws for one
check: deps-test
	@$(MAKE) $(SUB) all tests
	@tests/check.sh $(B) $(T)

## make model       what is done to devices beside a model of it, in random order: 100,000 steps on each engine
model: deps-test
	@$(MAKE) $(SUB) $(B)/tests/test_device_model
	@MINTD_TEST_STEPS=$${MINTD_TEST_STEPS:-100000} tests/check.sh $(B) test_device_model

## make bench       every figure of README beside its reference, measured here and now; WHAT=verify for a part
bench: deps-bench
	@$(MAKE) $(SUB) all $(BENCHES)
	@/usr/bin/python3 tests/bench/run.py $(B) $(WHAT)

## make lint        layer rules, format, clang-tidy, shellcheck, docs/openapi.yaml
lint: deps-lint
	@tests/lint.sh

## make fmt         format the C sources
fmt:
	clang-format -i $(wildcard lib/*.[ch] keystore/*.[ch] auth/*.[ch] api/*.[ch] cmd/*.[ch] tests/*.[ch] tests/*/*.[ch])

## make asan tsan   the whole test run under ASan and UBSan; the threaded tests under TSan
asan: deps-test
	@$(MAKE) $(SUB) B=$(B)/asan CC=clang SAN=address,undefined all tests
	@tests/check.sh $(B)/asan $(T)
tsan: deps-test
	@$(MAKE) $(SUB) B=$(B)/tsan CC=clang SAN=thread tests
	@tests/check.sh $(B)/tsan --threaded $(T)

## make valgrind    the unit tests without leaks
valgrind: deps-test
	@$(MAKE) $(SUB) all tests
	@tests/check.sh $(B) --valgrind $(T)

## make torture     the faults of which make check has a sample, all of them (README); hours
torture: deps-test
	@$(MAKE) $(SUB) all tests
	@MINTD_TORTURE=1 MINTD_TORTURE_ONLY="$(WHAT)" MINTD_TORTURE_KIND="$(KIND)" tests/check.sh $(B) \
	  test_torture test_kill test_storage_faults

## make fuzz        each libFuzzer target for SECONDS (60)
fuzz: deps-test
	@$(MAKE) $(SUB) B=$(B)/fuzz CC=clang SAN=fuzzer-no-link,address,undefined fuzzers
	@tests/fuzz/run.sh $(B)/fuzz $(or $(SECONDS),60)
fuzzers: $(patsubst %,$(B)/fuzz_bin/%,$(FUZZERS))
$(B)/fuzz_bin/%: $(B)/tests/fuzz/%.o $(B)/libmintd.a
	$(Q)mkdir -p $(@D); $(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS)

## make cover       line and branch coverage of the test run
cover: deps-test
	@$(MAKE) $(SUB) B=$(B)/cover CFLAGS="-O0 -g --coverage" all tests
	@tests/check.sh $(B)/cover
	@gcovr --root . --filter '(lib|keystore|auth|api|cmd)/' --object-directory $(B)/cover --print-summary

## make install     to PREFIX (/usr/local)
install: all
	install -D -m 755 $(B)/mintd $(DESTDIR)$(PREFIX)/bin/mintd
	ln -sf mintd $(DESTDIR)$(PREFIX)/bin/useradm
	ln -sf mintd $(DESTDIR)$(PREFIX)/bin/deviceauth

## make clean       remove ./build; ./run stays
clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
