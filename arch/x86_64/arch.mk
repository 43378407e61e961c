# SPDX-License-Identifier: Apache-2.0
CROSS      ?= $(if $(filter x86_64,$(shell uname -m)),,x86_64-linux-gnu-)
ARCH_FLAGS := -m64 -march=x86-64 -mno-red-zone -mgeneral-regs-only -mcmodel=small \
              -fcf-protection=none
# Padding and copies of functions would be an eighth of the image.
ARCH_FLAGS += -falign-functions=1 -falign-jumps=1 -falign-loops=1 -fno-inline-functions \
              -fno-ipa-cp-clone -mpreferred-stack-boundary=3
# The words to relocate as a bitmap.
ARCH_LDFLAGS := -Wl,-z,pack-relative-relocs
EFI_NAME   := BOOTX64.EFI
EFI_FORMAT := --target efi-app-x86_64
# GNU-EFI calls the firmware by its ABI when the compiler knows it.
EFI_FLAGS  := -m64 -march=x86-64 -mno-red-zone -mgeneral-regs-only -fcf-protection=none \
              -DGNU_EFI_USE_MS_ABI
ARCH_HOT   := apic.c code.c fpu.c insn_fast.c svm.c svm_event.c svm_exit.c svm_virq.c timer.c \
              vcpu.c vmx.c vmx_apic.c vmx_event.c vmx_exit.c vmx_virq.c
