#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts a disk image in QEMU, the way the tests do. Ctrl-A X ends it.
#
#   tools/qemu.sh ARCH DISK [QEMU arguments...]
#
# Environment: SMP=2  MEM=2G  CPU=…      the machine
#              GIC=2|3  ACPI=off         aarch64: interrupt controller; device tree in ACPI's place
#              AIA=GUEST-FILES           riscv64: AIA in the PLIC's place; ACPI=off too,
#              FIRMWARE=u-boot           U-Boot in EDK2's place
#              CORES=0-1                 x86_64: run on these cores of this machine, not on one
#              ICOUNT=1                  one instruction is one nanosecond of the machine's time
#              DIRECT=CAISSON.IMG        start this flat image without UEFI (x86_64: the ELF file
#                                        caisson-boot.elf, by PVH); DISK is then a compiled
#                                        configuration, or - for none
set -euo pipefail

[ $# -ge 2 ] || { sed -n '3,15s/^# \{0,1\}//p' "$0" >&2; exit 2; }
arch=$1 disk=$2
shift 2
cache=${CAISSON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/caisson}

case $arch in
aarch64)
    machine="virt,virtualization=on,gic-version=${GIC:-3}${ACPI:+,acpi=$ACPI}"
    cpu=${CPU:-cortex-a72}
    firmware=(-bios "$cache/aarch64/root/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")
    ;;
riscv64)
    machine="virt${AIA:+,aia=aplic-imsic,aia-guests=$AIA}${ACPI:+,acpi=$ACPI}"
    cpu=${CPU:-rva22s64,h=true}
    edk2=$cache/riscv64/root/usr/share/qemu-efi-riscv64
    flash=if=pflash,format=raw
    firmware=(-drive "$flash,unit=0,file=$edk2/RISCV_VIRT_CODE.fd,readonly=on"
              -drive "$flash,unit=1,file=$edk2/RISCV_VIRT_VARS.fd,snapshot=on")
    [ "${FIRMWARE:-}" != u-boot ] ||
        firmware=(-kernel "$cache/riscv64/root/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf")
    ;;
x86_64)
    machine=q35
    # Without what TCG does not have, and would say so.
    cpu=${CPU:-EPYC-v4,+svm,+npt,-fxsr-opt,-misalignsse,-osvw,-topoext,-perfctr-core,-clzero}
    cpu=${CPU:-$cpu,-ibpb,-nrip-save,-xsavec,-xsaves}
    ovmf=$cache/x86_64/root/usr/share/OVMF
    flash=if=pflash,format=raw
    firmware=(-drive "$flash,unit=0,file=$ovmf/OVMF_CODE_4M.fd,readonly=on"
              -drive "$flash,unit=1,file=$ovmf/OVMF_VARS_4M.fd,snapshot=on")
    ;;
*)  echo "qemu.sh: no machine for '$arch' yet; there are: aarch64 riscv64 x86_64" >&2; exit 2 ;;
esac

what=("${firmware[@]}" -drive "file=$disk,if=none,id=disk,format=raw,snapshot=on"
      -device virtio-blk-pci,drive=disk,bootindex=0)
if [ -n "${DIRECT:-}" ]; then
    what=(-kernel "$DIRECT")
    [ "$disk" = - ] || what+=(-initrd "$disk")
fi
clock=()
[ -z "${ICOUNT:-}" ] || clock=(-icount shift=0,sleep=off -seed 1 -rtc clock=vm,base=2026-01-01)

# QEMU's x86 processors change flags of the first one, that say whether it is in a guest, and its
# interrupt files those of a hart's guests, in an instruction that is not atomic: on one core of
# ours it is (HACKING.md).
run=("qemu-system-$arch")
last=$(awk -F '[-,[:space:]]+' '/^Cpus_allowed_list/ { print $NF }' /proc/self/status)
[ "$arch" != x86_64 ] && [ -z "${AIA:-}" ] || run=(taskset -c "${CORES:-$last}" "${run[@]}")

exec "${run[@]}" -accel tcg -M "$machine" -cpu "$cpu" -smp "${SMP:-2}" -m "${MEM:-2G}" \
    -nographic -nodefaults -serial mon:stdio "${clock[@]}" "${what[@]}" "$@"
