# make build      the module, against the nginx of the distribution
# make run        a vault on https://localhost:8443, until Ctrl-C
# make demo       the same, walked through by the real bw command line client
# make test       everything that says pass or fail, on SQLite, PostgreSQL and
#                 a peer that plays Aurora DSQL
# make asan       the suite under sanitizers, a part of it under valgrind
# make lint       style, include direction, warnings of gcc and clang, scripts
# make bench      how fast, as ratios within one run
# make image      the image for servers, build/ngx-vault.tar
# make image-lambda  the one for AWS Lambda, build/ngx-vault-lambda.tar
# make image-extension  the agent as a layer, build/ngx-vault-extension.tar
# make routes     the table of all endpoints
# make mail-preview  all mails, as files and pictures to look at
# make deps       what the above need of Debian's packages; they call it
# make clean
#
# FLAVOUR         release (default), debug, asan, clang

FLAVOUR   ?= release
ROOT      := $(CURDIR)
BUILD     := $(ROOT)/build/$(FLAVOUR)
MODULE    := $(BUILD)/ngx_http_vault_module.so
NGINX_SRC ?= /usr/share/nginx/src

SOURCES   := $(wildcard ngx_http_vault_module.c src/*/*.c)
HEADERS   := $(wildcard src/*/*.h)

WARN      := -Wextra -Wvla -Wframe-larger-than=4096 \
             -Wno-unused-parameter -Wno-missing-field-initializers
OPT       := -O2 -fstack-clash-protection
SANITIZE  := -fsanitize=address,undefined

CC_release  := gcc
OPT_release := $(OPT)
CC_clang    := clang
OPT_clang   := $(OPT)
CC_debug    := gcc
OPT_debug   := $(OPT) -DVAULT_DEBUG=1
CC_asan     := gcc
OPT_asan    := -O1 -fno-omit-frame-pointer $(SANITIZE) -DVAULT_DEBUG=1 \
               -fno-sanitize-recover=undefined -Wno-frame-larger-than
LD_asan     := $(SANITIZE)

.DEFAULT_GOAL := build

.PHONY: build
build: deps-build
	@$(MAKE) -s $(if $(findstring jobserver,$(MAKEFLAGS)),,-j2) $(MODULE)

.PHONY: release debug clang asan-build
release debug clang:
	@$(MAKE) -s build FLAVOUR=$@ BUILD=$(ROOT)/build/$@
asan-build:
	@$(MAKE) -s build FLAVOUR=asan BUILD=$(ROOT)/build/asan

# nginx's configure wants to own the tree that it runs in, so it gets a copy;
# it runs again only when a source file comes or goes.

$(BUILD)/nginx/objs/Makefile: config Makefile $(wildcard src/*)
	@rm -rf $(BUILD)/nginx && mkdir -p $(BUILD)/nginx
	@cp -r $(NGINX_SRC)/. $(BUILD)/nginx/
	@cd $(BUILD)/nginx && bash -c '. ./conf_flags && ./configure \
	    "$${NGX_CONF_FLAGS[@]}" --with-cc=$(CC_$(FLAVOUR)) \
	    --with-cc-opt="$(OPT_$(FLAVOUR)) $(WARN)" \
	    --with-ld-opt="$(LD_$(FLAVOUR))" \
	    --add-dynamic-module=$(ROOT)' > $(BUILD)/configure.log 2>&1 \
	    || { tail -n 5 $(BUILD)/configure.log; exit 1; }

$(MODULE): $(BUILD)/nginx/objs/Makefile $(SOURCES) $(HEADERS)
	@$(MAKE) -s -C $(BUILD)/nginx -f objs/Makefile modules \
	    > $(BUILD)/build.log 2>&1 \
	    || { grep -E -A5 'error|warning' $(BUILD)/build.log; exit 1; }
	@cp $(BUILD)/nginx/objs/ngx_http_vault_module.so $@.new
	@mv $@.new $@                     # servers that run keep the old one

include t/unit/unit.mk
include t/fuzz/fuzz.mk

.PHONY: deps deps-build
deps:
	@t/tools/deps test
deps-build:
	@t/tools/deps build

# Tests want both builds: waits are tested by endpoints of the debug build.
# What knows no database runs once, beside SQLite.  The longest begin.

TESTS  := $(sort $(wildcard t/*.t))
E2E    := $(wildcard t/e2e/*.t)
LONG   := t/e2e/lambda.t t/e2e/image-lambda.t t/e2e/mail.t t/e2e/two-factor.t
E2E    := $(LONG) $(filter-out $(LONG),$(sort $(E2E)))
NO_DB  := t/00-% t/01-% t/04-% t/08-% t/09-% t/25-% t/7% t/9% \
          t/e2e/agent-% t/e2e/cloudfront.t t/e2e/conf.t t/e2e/run.t \
          t/e2e/template.t t/e2e/deploy.t t/e2e/extension.t t/e2e/image% \
          t/e2e/mail-preview.t t/e2e/pg-% t/e2e/s3-% t/e2e/ses-%
SQLITE := $(filter-out t/24-%,$(TESTS))
PG     := $(filter-out t/23-% $(NO_DB),$(TESTS))

# The dialects and pools of the others are left out on Aurora DSQL, which has
# t/25.  Some once more while COMMITs collide and are cut.
DSQL   := $(filter-out t/2%,$(PG))
FAULTY := $(wildcard t/3[0125]-*.t t/4[01]-*.t t/5[02]-*.t)

.PHONY: test
test: deps
	@$(MAKE) -s -j2 release debug
	@$(MAKE) -s -j2 unit
	@$(MAKE) -s -j2 fuzz-short
	@t/tools/suite sqlite $(SQLITE)
	@t/tools/suite pg $(PG)
	@t/tools/suite dsql $(DSQL)
	@VAULT_TEST_FAULTS='{"oc000_every": 3, "eof_every": 4}' \
	    t/tools/suite dsql $(FAULTY)
	@t/e2e/install
	@t/tools/suite sqlite --timer -j3 $(E2E)
	@t/tools/suite pg --timer -j3 $(filter-out $(NO_DB),$(E2E))
	@t/tools/suite dsql --timer -j3 $(wildcard t/e2e/bw-2026*.t)

# valgrind sees what the sanitizers do not, on the little it has time for.

SMOKE  := t/10-run-smoke.t t/40-vault-folders.t
FAULTS := t/e2e/faults.t t/e2e/file-faults.t t/e2e/pg-faults.t

.PHONY: asan
asan: deps
	@$(MAKE) -s -j2 asan-build debug
	@t/e2e/install
	@VAULT_FLAVOUR=asan t/tools/suite sqlite $(filter-out $(NO_DB),$(SQLITE)) \
	    $(FAULTS) $(wildcard t/25-*.t t/7*.t t/9*.t)
	@VAULT_FLAVOUR=asan t/tools/suite pg $(PG)
	@VAULT_FLAVOUR=debug TEST_NGINX_USE_VALGRIND=1 t/tools/suite sqlite $(SMOKE)

.PHONY: lint
lint: deps
	@$(MAKE) -s -j2 release clang
	@t/tools/style
	@t/tools/includes
	@t/tools/scripts
	@t/tools/template

.PHONY: image image-lambda image-extension
image:
	@docker/build server
image-lambda:
	@docker/build lambda
image-extension:
	@docker/build extension

.PHONY: bench run demo routes mail-preview clean
bench: release $(UNIT_BUILD)/presign
	@t/tools/deps bench
	@t/bench/run
	@t/bench/lambda
	@t/bench/agent
	@t/bench/extension
run:
	@conf/run
demo:
	@conf/demo
routes: build
	@t/tools/routes
mail-preview: deps debug
	@t/tools/mail-preview
clean:
	@rm -rf build
