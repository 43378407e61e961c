# SPDX-License-Identifier: Apache-2.0
# The only makefile. Adding a file to a folder is all the configuration there is: sources are found
# by wildcard, and everything outside arch/ is compiled for every architecture.

ARCH  ?= aarch64
O     := build/$(ARCH)
HOST  := build/host
CACHE := $(or $(CAISSON_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/caisson)
ARCHS := $(patsubst arch/%/arch.mk,%,$(wildcard arch/*/arch.mk))
CONFIG ?= tools/configs/demo-$(ARCH).dts
PYTHON := /usr/bin/python3
PYTEST := $(PYTHON) -B -m pytest -p no:cacheprovider -q

ifeq ($(filter $(ARCH),$(ARCHS)),)
$(error there is no architecture '$(ARCH)' here yet; there is: $(ARCHS))
endif
include arch/$(ARCH)/arch.mk

CC      := $(CROSS)gcc
OBJCOPY := $(CROSS)objcopy
OBJDUMP := $(CROSS)objdump
NM      := $(CROSS)nm

WARNINGS := -Wall -Wextra -Werror
DIALECT  := -std=gnu2x -fno-strict-aliasing -fno-common -I. -Ibuild/acpi -MMD -MP
# No header of a C library: its limits.h is not looked for (_LIBC_LIMITS_H_), the compiler's is. But
# what memcpy() and its like are is known: a few bytes are copied without a call.
CFLAGS   := $(DIALECT) $(ARCH_FLAGS) -O2 -g -ffreestanding -fbuiltin -nostdlib -nostdinc \
            -D_LIBC_LIMITS_H_ -flto=auto -fpie -fvisibility=hidden -ffunction-sections \
            -fdata-sections -fno-stack-protector -fno-asynchronous-unwind-tables \
            -fno-omit-frame-pointer -Iarch/$(ARCH) -isystem kernel/libfdt -isystem $(CACHE)/libfdt
COMPILE   = $(CC) $(CFLAGS) -isystem $$($(CC) -print-file-name=include)
LDFLAGS  := -O2 -flto=auto -flto-partition=one -fpie $(ARCH_FLAGS) -static-pie -nostdlib \
            -Wl,-z,max-page-size=4096,-z,noexecstack,--gc-sections \
            -Wl,--build-id=none,--fatal-warnings,--no-undefined $(ARCH_LDFLAGS)

DIRS   := kernel mm drivers vcpu $(patsubst %/,%,$(wildcard vcpu/*/)) boot arch/$(ARCH)
SRCS   := $(filter-out boot/efi.c boot/efi_blob.S boot/elf_%.S, \
          $(sort $(wildcard $(DIRS:%=%/*.c) $(DIRS:%=%/*.S))))
LIBFDT := fdt fdt_ro fdt_wip fdt_rw fdt_sw fdt_addresses fdt_strerror fdt_check fdt_empty_tree
OBJS   := $(SRCS:%=$O/%.o) $(LIBFDT:%=$O/libfdt/%.o)

# Where loaders want an ELF file, the flat image in one.
BOOT_ELF := $(patsubst boot/elf_$(ARCH).S,$O/caisson-boot.elf,$(wildcard boot/elf_$(ARCH).S))

# What tools/setup provides; its presence in the cache lets a build work without it.
READY  := $(CACHE)/libfdt/libfdt.h $(CACHE)/$(ARCH)/gnu-efi.done

.PHONY: all setup run test host-test tool-test boot-test soak bench tidy format image disk debug \
        clean help guests programs
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:

all: $O/caisson.efi $(BOOT_ELF) $O/initrd.gz $(HOST)/caisson ## hypervisor and tools (ARCH=…)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "ARCH=… is one of: $(ARCHS); CONFIG=FILE.dts the guests of image, disk and run."

setup: ## install what is missing on this machine, fill the cache
	@tools/setup $(ARCH) $(filter bochs,$(MACHINE))

$(READY):
	@tools/setup $(ARCH)

# --- The hypervisor: linked twice, the second time with the symbol table of the first. ---

$O/%.o: % Makefile arch/$(ARCH)/arch.mk | $(READY)
	@mkdir -p $(@D)
	@$(COMPILE) $(WARNINGS) -c -o $@ $<

# The AML of x86 guests, as an array.
build/acpi/%.hex: vcpu/%.asl Makefile
	@mkdir -p $(@D)
	@iasl -ve -tc -p build/acpi/$* $< >$@.log || { cat $@.log; exit 1; }

$O/vcpu/guest_acpi.c.o $(HOST)/unit/vcpu/guest_acpi.c.o: build/acpi/guest_acpi.hex

# What runs often, by the exits of guests or once for each page, is compiled for speed; all else for
# size.
HOT := $(filter-out %_state.c, $(filter $(ARCH_HOT:%=arch/$(ARCH)/%) arch/$(ARCH)/pt_% \
         $(addprefix kernel/,crc32c.c ipi.c irq.c lock.c sched.c sched_budget.c string.c timer.c) \
         $(addprefix mm/,guestmap.c guestmap_dirty.c pt.c pt_dirty.c) \
         $(addprefix vcpu/,bus.c hypercall.c machine_$(ARCH).c run.c vcpu.c virq.c vpsci.c vsbi.c \
           chips/vns16550.c chips/vpl011.c irqchip/%),$(SRCS)))
$(filter-out $(HOT:%=$O/%.o),$(OBJS)): CFLAGS += -Oz

# The compiler calls these by itself, after it has looked for what is used.
$O/kernel/string.c.o: CFLAGS += -fno-lto -fno-builtin

$O/libfdt/%.o: Makefile arch/$(ARCH)/arch.mk | $(READY)
	@mkdir -p $(@D)
	@$(COMPILE) -include kernel/libfdt/libfdt_env.h -c -o $@ $(CACHE)/libfdt/$*.c

$O/hypervisor.lds: linker/hypervisor.lds.S Makefile | $(READY)
	@mkdir -p $(@D)
	@$(CC) -E -P -x assembler-with-cpp -I. -MMD -MP -MT $@ -MF $@.d -o $@ $<

$O/symtab-1.S: tools/mksymtab
	@mkdir -p $(@D)
	@tools/mksymtab </dev/null >$@

$O/symtab-2.S: $O/caisson-1.elf tools/mksymtab
	@$(NM) -n --defined-only $< | tools/mksymtab >$@

$O/caisson-1.elf $O/caisson-2.elf: $O/caisson-%.elf: $(OBJS) $O/hypervisor.lds $O/symtab-%.S
	@$(COMPILE) -c -o $O/symtab-$*.o $O/symtab-$*.S
	@$(CC) $(LDFLAGS) -T $O/hypervisor.lds -o $@ $(OBJS) $O/symtab-$*.o -lgcc

$O/caisson.elf: $O/caisson-2.elf
	@$(NM) -n --defined-only $< | tools/mksymtab | cmp - $O/symtab-2.S
	@! $(OBJDUMP) -h $< | grep ' set_' || \
	    { echo "linker/hypervisor.lds.S lacks this set"; exit 1; }
	@cp $< $@

# Programs that are linked with the kernel in place of boot/guests.c: each folder's sources, and its
# guests in assembly. Nobody looks for symbols in them.
PROGRAM_example := $(wildcard tools/example/*.c tools/example/*_$(ARCH).S)
PROGRAM_conform := $(wildcard $(addprefix tests/conform/,*.c $(ARCH)/*.c $(ARCH)/*.S))
PROGRAMS        := example conform
PROGRAM_KERNEL  := $(filter-out $O/boot/guests.c.o $O/boot/pinned.c.o,$(OBJS))

PROGRAM_FILES := $(PROGRAMS:%=$O/%.efi) $(if $(BOOT_ELF),$(PROGRAMS:%=$O/%-boot.elf))
programs: $(PROGRAM_FILES) ## what is linked in place of the runner of VMs (tools/example/)

define program_rule
$O/$1.elf: $(PROGRAM_KERNEL) $(PROGRAM_$1:%=$O/%.o) $O/hypervisor.lds $O/symtab-1.S
	@$$(COMPILE) -c -o $$@.symtab.o $O/symtab-1.S
	@$$(CC) $$(LDFLAGS) -T $O/hypervisor.lds -o $$@ $$(filter %.o,$$^) $$@.symtab.o -lgcc
endef
$(foreach program,$(PROGRAMS),$(eval $(call program_rule,$(program))))

$(PROGRAMS:%=$O/%.img) $O/caisson.img: %.img: %.elf
	@$(OBJCOPY) -O binary $< $@
	@echo "$@: $$(stat -c %s $@) bytes"

# Out of the image's header, from 16 on: its size in memory, 0, entry, and base.
IMAGE_FIELDS = $(shell od -An -tu4 -j16 -N16 $O/$*.img)
$(PROGRAMS:%=$O/%-boot.elf) $O/caisson-boot.elf: $O/%-boot.elf: boot/elf_$(ARCH).S \
    linker/boot_elf.lds $O/%.img
	@$(CC) -nostdlib -static -no-pie -Wl,--build-id=none,--no-warn-rwx-segments \
	    -Wl,-z,noexecstack,-z,max-page-size=4096 -T linker/boot_elf.lds \
	    -Wl,--defsym,IMAGE_BASE=$(word 4,$(IMAGE_FIELDS)) -DIMAGE='"$O/$*.img"' \
	    -DIMAGE_SIZE=$(word 1,$(IMAGE_FIELDS)) -DIMAGE_ENTRY=$(word 3,$(IMAGE_FIELDS)) \
	    -DIMAGE_BASE=$(word 4,$(IMAGE_FIELDS)) -o $@ $<

# --- The EFI program around it. ---

EFI_ROOT   := $(CACHE)/$(ARCH)/root/usr
EFI_CFLAGS := -std=gnu2x $(or $(EFI_FLAGS),$(ARCH_FLAGS)) -O2 -g -fpic -fshort-wchar \
              -ffreestanding -fno-strict-aliasing -fno-stack-protector -fno-stack-check \
              -I. -MMD -MP -isystem $(EFI_ROOT)/include/efi \
              -DEFI_ARCH_HEADER='"boot/efi_$(ARCH).h"'

$O/boot/efi.c.o: boot/efi.c Makefile | $(READY)
	@mkdir -p $(@D)
	@$(CC) $(EFI_CFLAGS) $(WARNINGS) -c -o $@ $<

$O/%.blob.o: boot/efi_blob.S $O/%.img
	@$(CC) -DIMAGE='"$O/$*.img"' -c -o $@ $<

$(PROGRAMS:%=$O/%.efi) $O/caisson.efi: $O/%.efi: $O/boot/efi.c.o $O/%.blob.o
	@$(CC) -nostdlib -shared -Wl,-Bsymbolic,-znocombreloc,--no-warn-rwx-segments \
	    -Wl,-z,noexecstack,--no-undefined -T $(EFI_ROOT)/lib/elf_$(ARCH)_efi.lds \
	    -o $O/$*-efi.so \
	    $(EFI_ROOT)/lib/crt0-efi-$(ARCH).o $^ -L$(EFI_ROOT)/lib -lefi -lgnuefi -lgcc
	@$(OBJCOPY) -j .text -j .sdata -j .data -j .dynamic -j .rodata -j '.rel*' -j '.rela*' \
	    -j .reloc $(EFI_FORMAT) $O/$*-efi.so $@

# --- The host's side: the tool `caisson`, and the unit tests. ---

HOST_CC      := gcc
HOST_CFLAGS  := $(DIALECT) $(WARNINGS) -g -Itests/fake -isystem $(CACHE)/libfdt
TOOL_CFLAGS  := $(HOST_CFLAGS) -O2 -D_GNU_SOURCE -DHOST_TOOL=1
UNIT_CFLAGS  := $(HOST_CFLAGS) -O1 -DHOST_TEST=1 -fsanitize=address,undefined \
                -fno-sanitize-recover=all -fno-omit-frame-pointer
HOST_SHARED  := $(wildcard vcpu/config*.c kernel/fdt*.c) kernel/str.c kernel/err.c kernel/fmt.c
TOOL_SRCS    := $(wildcard tools/caisson/*.c) $(HOST_SHARED)
UNIT_SRCS    := $(filter-out kernel/string.c, $(filter %.c, $(filter-out arch/% boot/%, $(SRCS)))) \
                boot/guests.c boot/pinned.c boot/direct.c boot/fw_cfg.c \
                $(wildcard tests/host/*.c tests/fake/*.c arch/*/pt_*.c arch/*/insn*.c \
                  arch/*/regs_check.c) \
                arch/x86_64/guest_cpuid.c arch/x86_64/guest_msr.c arch/x86_64/guest_walk.c \
                arch/x86_64/regs.c arch/x86_64/svm_event.c arch/x86_64/svm_regs.c \
                arch/x86_64/vmx_event.c arch/x86_64/vmx_fields.c arch/x86_64/vmx_check.c
TOOL_OBJS    := $(TOOL_SRCS:%=$(HOST)/tool/%.o) $(LIBFDT:%=$(HOST)/tool/libfdt/%.o)
UNIT_OBJS    := $(UNIT_SRCS:%=$(HOST)/unit/%.o) $(LIBFDT:%=$(HOST)/unit/libfdt/%.o)

define host_rules
$(HOST)/$1/%.o: % Makefile | $(READY)
	@mkdir -p $$(@D)
	@$(HOST_CC) $2 -c -o $$@ $$<

$(HOST)/$1/libfdt/%.o: Makefile | $(READY)
	@mkdir -p $$(@D)
	@$(HOST_CC) $(filter-out $(WARNINGS),$2) -c -o $$@ $(CACHE)/libfdt/$$*.c
endef
$(eval $(call host_rules,tool,$(TOOL_CFLAGS)))
$(eval $(call host_rules,unit,$(UNIT_CFLAGS)))

$(HOST)/caisson: $(TOOL_OBJS)
	@$(HOST_CC) -o $@ $^

$(HOST)/symtab.S: tests/host/symbols.nm tools/mksymtab
	@mkdir -p $(@D)
	@tools/mksymtab <$< >$@

$(HOST)/unit-test: $(UNIT_OBJS) $(HOST)/symtab.S
	@$(HOST_CC) $(UNIT_CFLAGS) -Wl,--defsym,_image_start=0 -o $@ $(UNIT_OBJS) $(HOST)/symtab.S \
	    -lZydis

# --- Images to start. ---

# x86_64 has two machines: QEMU's has AMD's SVM, that of Bochs Intel's VMX.
RUN := $(if $(filter bochs,$(MACHINE)),bochs.sh,qemu.sh $(ARCH))

$O/initrd.gz: tools/mkinitrd tools/guest-init | $(READY)
	@mkdir -p $(@D)
	@tools/mkinitrd $(CACHE)/$(ARCH)/busybox tools/guest-init $(CACHE)/$(ARCH)/modules/ $@

$O/vmlinuz: | $(READY)
	@mkdir -p $(@D) && ln -sfn $(CACHE)/$(ARCH)/vmlinuz $@

$O/$(EFI_NAME): $O/caisson.efi $(HOST)/caisson $(CONFIG) $O/initrd.gz $O/vmlinuz
	@$(HOST)/caisson pack --arch $(ARCH) $(CONFIG) --efi $O/caisson.efi -I $O -o $@

$O/disk.img: $O/$(EFI_NAME)
	@$(HOST)/caisson disk $< -o $@

image: $O/$(EFI_NAME) ## the one file to boot: hypervisor and guests of CONFIG

disk: $O/disk.img ## a disk that boots it

run: setup ## build everything and start it in QEMU (Ctrl-A X ends it), or in MACHINE=bochs
	@$(MAKE) --no-print-directory disk
	@tools/$(RUN) $O/disk.img

debug: setup ## the same, waiting for gdb on port 1234
	@$(MAKE) --no-print-directory disk
	@echo "gdb-multiarch -ex 'target remote :1234' $O/caisson.elf"
	@tools/qemu.sh $(ARCH) $O/disk.img -S -s

# --- Tests. ---

# With no ARCH given, boot tests are run for every architecture there is.
COMMA := ,
SPACE := $(subst ,, )
TEST_ARCHS := $(if $(filter file,$(origin ARCH)),$(ARCHS),$(ARCH))

test: ## everything; the last line is the sum (ARCH=…, MACHINE=bochs for a part)
	@tools/setup $(TEST_ARCHS) $(if $(filter x86_64,$(TEST_ARCHS)),bochs)
	@tools/test-summary "$(MAKE) tidy" "$(MAKE) host-test" "$(MAKE) tool-test" \
	    $(TEST_ARCHS:%="$(MAKE) boot-test ARCH=%") tools/conformance

host-test: $(HOST)/unit-test ## unit tests on this machine, with sanitizers
	@$<

tool-test: $(HOST)/caisson ## the program `caisson`, as people call it
	@$(PYTEST) tests/tool

boot-test: all guests programs $O/vmlinuz ## boot the guests in an emulator
	@$(PYTEST) tests/boot --arch $(ARCH) --machine=$(MACHINE)

soak: all guests $O/vmlinuz ## the boot tests that find more the longer they run: an hour or so
	@$(PYTEST) tests/boot --arch $(ARCH) --machine=$(MACHINE) --soak -m soak
	@$(PYTHON) -B tests/soak/soak.py --arch $(ARCH) --machine=$(MACHINE)

bench: $(TEST_ARCHS:%=bench-%) ## measure the costs, in instructions, of all or of ARCH
	@$(PYTHON) -B tests/bench/bench.py --arch $(subst $(SPACE),$(COMMA),$(TEST_ARCHS)) \
	    --machine=$(MACHINE)

bench-%:
	@$(if $(filter x86_64,$*),tools/setup $* bochs)
	@$(MAKE) --no-print-directory ARCH=$* all guests build/$*/vmlinuz

tidy: ## the style and arrow checks
	@tools/tidy

format: ## lay out the sources as .clang-format says
	@clang-format -i $$(git ls-files '*.c' '*.h')

clean: ## remove build/
	@rm -rf build

include $(wildcard tests/guests.mk)
-include $(shell find build -name '*.d' 2>/dev/null)
