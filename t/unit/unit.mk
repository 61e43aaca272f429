# make unit       pure functions against published vectors, under sanitizers
#
# Every t/unit/*.c but the shim is one program, linked with json/ and crypto/.
# One that needs more names it: UNIT_SRC_<program> = src/run/router.c

UNIT_BUILD ?= $(ROOT)/build/unit
UNIT_SHIM  := $(wildcard t/unit/shim*.c)
UNIT_TESTS := $(patsubst t/unit/%.c,%, \
                  $(filter-out $(UNIT_SHIM),$(wildcard t/unit/*.c)))
UNIT_LIB   := $(wildcard src/json/*.c src/crypto/*.c) $(UNIT_SHIM)
UNIT_OBJS  := $(UNIT_LIB:%.c=$(UNIT_BUILD)/obj/%.o)
UNIT_BINS  := $(addprefix $(UNIT_BUILD)/,$(UNIT_TESTS))
UNIT_DEPS  := $(HEADERS) $(wildcard t/unit/*.h)

UNIT_INC   := $(addprefix -I$(BUILD)/nginx/,src/core src/event src/event/quic \
                  src/event/modules src/os/unix objs src/http \
                  src/http/modules src/http/v2 src/http/v3) -I$(ROOT)/t/unit
UNIT_OPT   := -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter \
              -Wno-missing-field-initializers -fno-omit-frame-pointer \
              -DVAULT_DEBUG=1
UNIT_SAN   := -fsanitize=address,undefined -fno-sanitize-recover=undefined
UNIT_LIBS  := -ljansson -lcrypto -lpthread

UNIT_SRC_limits := src/rules/limits.c

UNIT_SRC_multipart := src/run/multipart.c

UNIT_SRC_router := src/run/router.c

UNIT_SRC_endpoint := src/aws/endpoint.c

UNIT_SRC_sigv4 := $(wildcard src/aws/sigv4*.c)

UNIT_SRC_dsql := src/db/dsql_url.c src/db/dsql_token.c src/db/dsql_grant.c \
                 src/db/schema.c src/aws/endpoint.c \
                 $(wildcard src/aws/sigv4*.c)

UNIT_SRC_s3_url := src/files/s3_url.c src/aws/endpoint.c

UNIT_SRC_s3_xml := src/files/s3_xml.c

UNIT_SRC_mime := src/mail/mime.c

UNIT_SRC_template := $(wildcard src/mail/template*.c)

.PHONY: unit
unit: $(UNIT_BINS)
	@prove -e '' $(UNIT_BINS)

$(UNIT_BUILD)/obj/%.o: %.c $(UNIT_DEPS) | $(BUILD)/nginx/objs/Makefile
	@mkdir -p $(@D)
	@gcc $(UNIT_OPT) $(UNIT_SAN) $(UNIT_INC) -c -o $@ $<

.SECONDEXPANSION:
$(UNIT_BINS): $(UNIT_BUILD)/%: t/unit/%.c $(UNIT_OBJS) \
    $$(UNIT_SRC_$$*) $(UNIT_DEPS)
	@gcc $(UNIT_OPT) $(UNIT_SAN) $(UNIT_INC) -o $@ $< $(UNIT_SRC_$*) \
	    $(UNIT_OBJS) $(UNIT_LIBS)

# Speed is measured without the sanitizers.
$(UNIT_BUILD)/presign: t/bench/presign.c $(UNIT_SRC_sigv4) $(UNIT_LIB) \
    $(UNIT_DEPS) | $(BUILD)/nginx/objs/Makefile
	@mkdir -p $(@D)
	@gcc $(filter-out -O1,$(UNIT_OPT)) $(OPT) $(UNIT_INC) -o $@ $< \
	    $(UNIT_SRC_sigv4) $(UNIT_LIB) $(UNIT_LIBS)
