#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts a disk image in Bochs, the emulator that has Intel's VMX, with UEFI. It ends with the
# machine: "poweroff" at the hypervisor's prompt (Ctrl-T p).
#
#   tools/bochs.sh DISK
#
# Environment: SMP=2  MEM=1024           processors; memory in MiB
#              CPU=corei7_skylake_x      one of Bochs' models ("bochs --help cpu"); with options, as
#                                        in CPU=ryzen,add_features=svm
#              IPS=3500000000            instructions in a second of its clocks: that of the model's
#                                        CPUID, if that tells one
#              LOG=FILE                  keep the emulator's log, which names bad VMCS fields
#              CONSOLE=FILE              the serial line goes to a file, not to this terminal
set -euo pipefail

[ $# -eq 1 ] || { sed -n '3,15s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cache=${CAISSON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/caisson}
bochs=$cache/bochs/bochs
[ -x "$bochs" ] || { echo "bochs.sh: run 'tools/setup bochs' first" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp --sparse=always "$1" "$work/disk.img"        # It writes to its disk, and locks it.

# UEFI draws by itself; all that is asked of the display's ROM is to be one (a valid checksum).
printf '\x55\xaa\x01\xcb%507s\x35' '' | tr ' ' '\0' >"$work/vga.rom"

serial="mode=term, dev=$(tty 2>/dev/null || echo /dev/tty)"
[ -z "${CONSOLE:-}" ] || serial="mode=file, dev=$CONSOLE"
# One instruction is one tick of the TSC; ips makes the other clocks agree with what the model's
# CPUID says of its frequency.
cat >"$work/bochsrc" <<END
display_library: nogui
romimage: file=$cache/x86_64/root/usr/share/ovmf/OVMF.fd
vgaromimage: file=$work/vga.rom
cpu: count=${SMP:-2}, ips=${IPS:-3500000000}, model=${CPU:-corei7_skylake_x}
cpu: reset_on_triple_fault=0
memory: guest=${MEM:-1024}, host=${MEM:-1024}
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path=$work/disk.img, mode=flat, cylinders=0, heads=16, spt=63
boot: disk
com1: enabled=1, $serial
clock: sync=none, time0=utc
log: ${LOG:-$work/log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
END
terminal=$(stty -g 2>/dev/null || true) log=${LOG:-$work/log}
setpriv --pdeathsig KILL "$bochs" -q -f "$work/bochsrc" </dev/null >"$work/out" 2>&1 &
child=$!
finish() {
    kill -9 "$child" 2>/dev/null || true
    [ -z "$terminal" ] || stty "$terminal" 2>/dev/null || true      # It leaves it raw.
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP
status=0
wait "$child" || status=$?
! grep -q 'shutdown requested' "$log" || exit 0 # The guest's wish; a panic to Bochs.
grep '>>PANIC<<' "$log" >&2 || true
exit "$status"
