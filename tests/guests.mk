# SPDX-License-Identifier: Apache-2.0
# Builds the kilobyte guests: `make guests` makes $O/guests/<name>.img of each tests/guest/<name>.c
# and tests/guest/$(ARCH)/<name>.c that has a guest_main(); what has none is the runtime, linked
# into all. The Makefile includes this file; ARCH, O, CC and OBJCOPY are its.

# Architectures without a runtime of their own in tests/guest/ have none yet.
GUEST_SRCS    := $(if $(wildcard tests/guest/$(ARCH)), \
                 $(wildcard tests/guest/*.c tests/guest/$(ARCH)/*.c tests/guest/$(ARCH)/*.S))
GUEST_MAINS   := $(shell grep -l '^void guest_main(void)$$' $(GUEST_SRCS) /dev/null)
GUEST_RUNTIME := $(patsubst %,$O/%.o,$(filter-out $(GUEST_MAINS),$(GUEST_SRCS)))
GUESTS        := $(patsubst %.c,$O/guests/%.img,$(notdir $(GUEST_MAINS)))

GUEST_FLAGS_aarch64 := -ffixed-x18
GUEST_CFLAGS := -std=gnu2x $(ARCH_FLAGS) $(GUEST_FLAGS_$(ARCH)) -O1 -g -Wall -Wextra -Werror \
                -ffreestanding -nostdlib -fpie -fvisibility=hidden -fno-stack-protector \
                -fno-asynchronous-unwind-tables -fno-strict-aliasing -ffunction-sections \
                -fdata-sections -Itests/guest -Itests/guest/$(ARCH) -MMD -MP
GUEST_LDFLAGS := -static-pie -nostdlib -Wl,-z,max-page-size=4096,-z,noexecstack,--build-id=none \
                 -Wl,--no-warn-rwx-segments,--no-undefined -T tests/guest/guest.lds

.PHONY: guests
guests: $(GUESTS) ## the kilobyte guests of the tests

$O/tests/guest/%.o: tests/guest/% tests/guests.mk
	@mkdir -p $(@D)
	@$(CC) $(GUEST_CFLAGS) -c -o $@ $<

$O/guests/%.elf: $(GUEST_RUNTIME) tests/guest/guest.lds
	@mkdir -p $(@D)
	@$(CC) $(GUEST_LDFLAGS) -o $@ $(filter %.o,$^)

$(foreach main,$(GUEST_MAINS),$(eval \
    $O/guests/$(basename $(notdir $(main))).elf: $O/$(main).o))

$O/guests/%.img: $O/guests/%.elf
	@$(OBJCOPY) -O binary $< $@
