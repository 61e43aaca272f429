# make build      the module, against the nginx of the distribution
# FLAVOUR         release (default), asan, clang

FLAVOUR   ?= release
ROOT      := $(CURDIR)
BUILD     := $(ROOT)/build/$(FLAVOUR)
MODULE    := $(BUILD)/ngx_http_vault_module.so
NGINX_SRC ?= /usr/share/nginx/src

SOURCES   := $(wildcard ngx_http_vault_module.c src/*/*.c)
HEADERS   := $(wildcard src/*/*.h)

WARN      := -Wextra -Wvla -Wframe-larger-than=4096 -Wno-missing-field-initializers
CC_release := gcc
OPT_release := -O2 -fstack-clash-protection
CC_clang  := clang
OPT_clang := -O2 -fstack-clash-protection
CC_asan   := gcc
OPT_asan  := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -Wno-frame-larger-than -DVAULT_DEBUG=1
LD_asan   := -fsanitize=address,undefined

.PHONY: build
build: $(MODULE)

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
	@cp $(BUILD)/nginx/objs/ngx_http_vault_module.so $@
