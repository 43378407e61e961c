# SPDX-License-Identifier: Apache-2.0
# Builds the kilobyte guests: `make guests` makes $O/guests/<name>.img of each tests/guest/<name>.c
# and tests/guest/$(ARCH)/<name>.c that has a guest_main(); what has none is the runtime, linked
# into all. The Makefile includes this file; ARCH, O, CC and OBJCOPY are its.

# Architectures without a runtime of their own in tests/guest/ have none yet.
GUEST_WITHOUT_x86_64 := tests/guest/fdt.c tests/guest/x86_64/modes.S
GUEST_SRCS    := $(if $(wildcard tests/guest/$(ARCH)), $(filter-out $(GUEST_WITHOUT_$(ARCH)), \
                 $(wildcard tests/guest/*.c tests/guest/$(ARCH)/*.c tests/guest/$(ARCH)/*.S)))
GUEST_MAINS   := $(shell grep -l '^void guest_main(void)$$' $(GUEST_SRCS) /dev/null)
GUEST_RUNTIME := $(patsubst %,$O/%.o,$(filter-out $(GUEST_MAINS),$(GUEST_SRCS)))
GUESTS        := $(patsubst %.c,$O/guests/%.img,$(notdir $(GUEST_MAINS)))

GUEST_FLAGS_aarch64 := -ffixed-x18
# x86_64 guests are ELF files, for that is what PVH starts; at a place of their own.
GUEST_FLAGS_x86_64   := -fno-pie
GUEST_LINK_x86_64    := -static -no-pie
GUEST_LDS_x86_64     := tests/guest/x86_64/guest.lds
GUEST_FORMAT_x86_64  := --strip-all
GUEST_LDS    := $(or $(GUEST_LDS_$(ARCH)),tests/guest/guest.lds)
GUEST_CFLAGS := -std=gnu2x $(ARCH_FLAGS) -fpie $(GUEST_FLAGS_$(ARCH)) -O1 -g -Wall -Wextra \
                -Werror -ffreestanding -nostdlib -fvisibility=hidden -fno-stack-protector \
                -fno-asynchronous-unwind-tables -fno-strict-aliasing -ffunction-sections \
                -fdata-sections -Itests/guest -Itests/guest/$(ARCH) -MMD -MP
GUEST_LDFLAGS := $(or $(GUEST_LINK_$(ARCH)),-static-pie) -nostdlib -Wl,--build-id=none \
                 -Wl,-z,max-page-size=4096,-z,noexecstack \
                 -Wl,--no-warn-rwx-segments,--no-undefined -T $(GUEST_LDS)

.PHONY: guests
guests: $(GUESTS) ## the kilobyte guests of the tests

$O/tests/guest/%.o: tests/guest/% tests/guests.mk
	@mkdir -p $(@D)
	@$(CC) $(GUEST_CFLAGS) -c -o $@ $<

$O/guests/%.elf: $(GUEST_RUNTIME) $(GUEST_LDS)
	@mkdir -p $(@D)
	@$(CC) $(GUEST_LDFLAGS) -o $@ $(filter %.o,$^)

$(foreach main,$(GUEST_MAINS),$(eval \
    $O/guests/$(basename $(notdir $(main))).elf: $O/$(main).o))

$O/guests/%.img: $O/guests/%.elf
	@$(OBJCOPY) $(or $(GUEST_FORMAT_$(ARCH)),-O binary) $< $@
