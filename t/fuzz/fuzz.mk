# make fuzz-short a fixed number of inputs to every fuzz driver, in make test
# make fuzz       every driver for FUZZ_SECONDS (600), by hand; finds are kept
#                 in build/fuzz/<name>.found
#
# One t/fuzz/*.c is one driver; its seeds lie in t/fuzz/corpus/<name>/.  One
# that needs more than json/ and crypto/ names it: FUZZ_SRC_<name>.  Seed and
# number of runs are fixed, so no clock decides what the short run tries.

FUZZ_BUILD   ?= $(ROOT)/build/fuzz
FUZZ_NAMES   := $(patsubst t/fuzz/%.c,%,$(wildcard t/fuzz/*.c))
FUZZ_BINS    := $(addprefix $(FUZZ_BUILD)/,$(FUZZ_NAMES))
FUZZ_OBJS    := $(UNIT_LIB:%.c=$(FUZZ_BUILD)/obj/%.o)
FUZZ_SAN     := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_RUNS    ?= 50000
FUZZ_SECONDS ?= 600

FUZZ_RUNS_jwt    := 5000
FUZZ_RUNS_base64 := 100000

FUZZ_SRC_multipart := src/run/multipart.c
FUZZ_SRC_router := src/run/router.c

FUZZ_SRC_s3_xml := src/files/s3_xml.c

FUZZ_SRC_s3_url := src/files/s3_url.c src/aws/endpoint.c

.PHONY: fuzz-short fuzz $(FUZZ_NAMES:%=fuzz-short-%) $(FUZZ_NAMES:%=fuzz-%)
fuzz-short: $(FUZZ_NAMES:%=fuzz-short-%)
fuzz: $(FUZZ_NAMES:%=fuzz-%)

$(FUZZ_NAMES:%=fuzz-short-%): fuzz-short-%: $(FUZZ_BUILD)/%
	@rm -rf $(FUZZ_BUILD)/$*.short && mkdir -p $(FUZZ_BUILD)/$*.short
	@mkdir -p t/fuzz/corpus/$*
	@$< -seed=1 -runs=$(or $(FUZZ_RUNS_$*),$(FUZZ_RUNS)) -max_len=4096 \
	    -artifact_prefix=$(FUZZ_BUILD)/$*- $(FUZZ_BUILD)/$*.short \
	    t/fuzz/corpus/$* > $(FUZZ_BUILD)/$*.log 2>&1 \
	    || { tail -n 60 $(FUZZ_BUILD)/$*.log; exit 1; }
	@echo "fuzz $*: `tail -n 1 $(FUZZ_BUILD)/$*.log`"

$(FUZZ_NAMES:%=fuzz-%): fuzz-%: $(FUZZ_BUILD)/%
	@mkdir -p $(FUZZ_BUILD)/$*.found
	@$< -max_total_time=$(FUZZ_SECONDS) -max_len=16384 \
	    -artifact_prefix=$(FUZZ_BUILD)/$*- $(FUZZ_BUILD)/$*.found \
	    t/fuzz/corpus/$*

$(FUZZ_BUILD)/obj/%.o: %.c $(UNIT_DEPS) | $(BUILD)/nginx/objs/Makefile
	@mkdir -p $(@D)
	@clang $(UNIT_OPT) $(FUZZ_SAN) -fsanitize=fuzzer-no-link $(UNIT_INC) \
	    -c -o $@ $<

.SECONDEXPANSION:
$(FUZZ_BINS): $(FUZZ_BUILD)/%: t/fuzz/%.c $(FUZZ_OBJS) \
    $$(FUZZ_SRC_$$*) $(UNIT_DEPS)
	@clang $(UNIT_OPT) $(FUZZ_SAN) -fsanitize=fuzzer $(UNIT_INC) -o $@ $< \
	    $(FUZZ_SRC_$*) $(FUZZ_OBJS) $(UNIT_LIBS)
