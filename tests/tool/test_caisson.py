# SPDX-License-Identifier: Apache-2.0
"""The host program `caisson`, called as people call it."""
import hashlib
import os
import pathlib
import struct
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/host/caisson"

CONFIG = """/dts-v1/;
/ {
	compatible = "caisson,config-1";
	vms {
		one {
			memory = "64M";
			boot { kernel = "Image"; };
		};
%s
	};
};
"""

MACHINES = {"aarch64": 0xaa64, "riscv64": 0x5064, "x86_64": 0x8664}
NAMES = {"aarch64": "BOOTAA64.EFI", "riscv64": "BOOTRISCV64.EFI", "x86_64": "BOOTX64.EFI"}


def caisson(*args, cwd):
    return subprocess.run([TOOL, *map(str, args)], cwd=cwd, capture_output=True, text=True,
                          timeout=60)


def image(magic=b"ARM\x64"):
    """An arm64 Image: no code, but a header."""
    return struct.pack("<IIQQQ", 0, 0, 0, 65536, 0xa) + bytes(24) + magic + bytes(4 + 1000)


def program(arch):
    """An EFI program: headers and one section."""
    opt = bytearray(240)
    struct.pack_into("<H", opt, 0, 0x20b)
    struct.pack_into("<II", opt, 32, 4096, 512)
    struct.pack_into("<II", opt, 56, 0x2000, 1024)
    struct.pack_into("<I", opt, 108, 16)
    section = struct.pack("<8sIIII", b".text", 512, 0x1000, 512, 1024) + bytes(16)
    pe = b"PE\0\0" + struct.pack("<HHIIIHH", MACHINES[arch], 1, 0, 0, 0, 240, 0x206)
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    return (dos + pe + opt + section).ljust(1024, b"\0") + b"\x90" * 512


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    (tmp_path / "Image").write_bytes(image())
    (tmp_path / "good.dts").write_text(CONFIG % "")
    for arch in MACHINES:
        (tmp_path / f"{arch}.efi").write_bytes(program(arch))
    return tmp_path


def test_a_good_configuration_is_said_to_be_good(folder):
    done = caisson("check", "good.dts", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "good.dts: good for aarch64: 1 VM\n")


def test_files_are_found_in_the_folders_given(folder):
    (folder / "more").mkdir()
    (folder / "Image").rename(folder / "more/Image")
    done = caisson("check", "good.dts", cwd=folder)
    assert done.returncode == 1
    assert "good.dts:7: /vms/one/boot: file 'Image': No such file" in done.stderr
    assert caisson("check", "good.dts", "-I", "more", cwd=folder).returncode == 0


def test_mistakes_name_their_lines(folder):
    (folder / "bad.dts").write_text(CONFIG % """
		two { /* Line 10. */
			cpus = <1>;
			affinity = "2-1";
			memory = "10";
			cpu = <1>;
		};
		""")
    done = caisson("check", "bad.dts", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "bad.dts:14: /vms/two: unknown property 'cpu', did you mean 'cpus'?",
        "bad.dts:12: /vms/two: 'affinity' is \"2-1\"; its pCPUs must be in ascending order, each "
        "once",
        "bad.dts:13: /vms/two: 'memory' is \"10\"; it must be a multiple of 4K, and not 0",
        "bad.dts:10: /vms/two: there is no node 'boot', which names the kernel",
        "caisson: bad.dts: 4 mistakes",
    ]


def test_mistakes_of_syntax_name_their_lines(folder):
    (folder / "bad.dts").write_text(CONFIG.replace('"64M";', '"64M"') % "")
    done = caisson("check", "bad.dts", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "bad.dts:7: syntax error\n")


def test_a_kernel_for_another_architecture_is_refused(folder):
    done = caisson("check", "good.dts", "--arch", "riscv64", cwd=folder)
    assert done.returncode == 1
    assert "'Image' is a kernel for another architecture than riscv64" in done.stderr


def test_the_hosts_size_is_checked_when_it_is_given(folder):
    assert caisson("check", "good.dts", "--ram", "64M", "--cpus", "1", cwd=folder).returncode == 0
    done = caisson("check", "good.dts", "--ram", "63M", cwd=folder)
    assert "good.dts:6: /vms/one: up to this VM the VMs need 64M" in done.stderr


def test_explain_prints_the_memory_map(folder):
    done = caisson("explain", "good.dts", cwd=folder)
    assert done.returncode == 0
    assert "one: 1 vCPU, 64M of memory\n" in done.stdout
    assert "0x0009000000-0x0009000fff      4K  pl011, interrupt 33\n" in done.stdout
    assert "kernel Image (arm64 Image), entry 0x40000000\n" in done.stdout


def test_explain_prints_the_ports_of_an_x86_machine(folder):
    text = (CONFIG % "").replace("boot {", 'boot { format = "raw"; ')
    (folder / "x86.dts").write_text(text)
    done = caisson("explain", "x86.dts", "--arch", "x86_64", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0x00fec00000-0x00fec00fff      4K  ioapic\n" in done.stdout
    assert "0x00000e0000-0x00000fffff    128K    ACPI tables\n" in done.stdout
    assert "kernel Image (raw), entry 0x100000\n" in done.stdout
    assert "  ports 0x3f8-0x3ff  ns16550, interrupt 4\n" in done.stdout


def test_explain_prints_the_memory_of_an_x86_machine_round_its_hole(folder):
    text = (CONFIG % "").replace("boot {", 'boot { format = "raw"; ').replace('"64M"', '"5G"')
    (folder / "large.dts").write_text(text)
    done = caisson("explain", "large.dts", "--arch", "x86_64", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0x0000000000-0x00bfffffff      3G  RAM\n" in done.stdout
    assert "0x0100000000-0x017fffffff      2G  RAM\n" in done.stdout


def test_a_firmware_is_for_x86_64_only(folder):
    (folder / "fw.dts").write_text((CONFIG % "").replace("boot {", 'boot { format = "firmware"; '))
    done = caisson("check", "fw.dts", cwd=folder)
    assert (done.returncode, "format \"firmware\" is for x86_64 guests; this is for aarch64" in
            done.stderr) == (1, True)


def test_explain_prints_how_processors_are_shared(folder):
    (folder / "shared.dts").write_text((CONFIG % """
		two {
			memory = "64M";
			priority = <3>;
			weight = <20>;
			budget-us = <2000>;
			period-us = <10000>;
			boot { kernel = "Image"; };
		};
		""").replace("vms {", """cpus {
		cpu@1 {
			policy = "table";
			cycle-us = <10000>;
			slots { only { vm = "one"; start-us = <1000>; length-us = <4000>; }; };
		};
		cpu@2 { slice-us = <5000>; };
	};
	vms {""", 1))
    done = caisson("explain", "shared.dts", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pCPU 1: a time table of 10000 us\n"
                                  "     1000-5000    us  one, vCPU 0\n"
                                  "  idle for 6000 us of it\n"
                                  "pCPU 2: shared, slices of 5000 us\n\none: ")
    assert "  vCPU 0    pCPU 1, in its slots\n" in done.stdout
    assert ("  vCPU 0    pCPU 0,2-63, priority 3, weight 20, at most 2000 of each 10000 us\n"
            in done.stdout)


def test_a_table_that_overlaps_is_named_with_its_line(folder):
    (folder / "bad.dts").write_text((CONFIG % "").replace("vms {", """cpus {
		cpu@0 {
			policy = "table";
			cycle-us = <10000>;
			slots {
				a { vm = "one"; length-us = <5000>; };
				b { vm = "one"; start-us = <4000>; length-us = <5000>; };
			};
		};
	};
	vms {""", 1))
    done = caisson("check", "bad.dts", cwd=folder)
    assert done.stderr.splitlines()[0] == (
        "bad.dts:10: /cpus/cpu@0/slots/b: the slot starts at 4000 us, but the one before it ends "
        "at 5000 us")


def test_pack_puts_the_tree_into_a_section(folder):
    done = caisson("pack", "--arch", "aarch64", "good.dts", "--efi", "aarch64.efi", "-o", "o.efi",
                   cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    packed = (folder / "o.efi").read_bytes()
    name, size, _, _, raw = struct.unpack_from("<8sIIII", packed, 64 + 24 + 240 + 40)
    assert name == b".config\0"
    done = caisson("pack", "--arch", "aarch64", "good.dts", "--config-only", "-o", "o.dtb",
                   cwd=folder)
    assert packed[raw:raw + size] == (folder / "o.dtb").read_bytes()
    assert packed[1024:1536] == program("aarch64")[1024:]
    assert image() in packed[raw:raw + size]


def test_pack_refuses_a_program_for_another_architecture(folder):
    done = caisson("pack", "--arch", "aarch64", "good.dts", "--efi", "x86_64.efi", "-o", "o.efi",
                   cwd=folder)
    assert (done.returncode, done.stderr) == (
        1, "caisson: x86_64.efi: not an EFI program for aarch64\n")
    assert not (folder / "o.efi").exists()


def test_a_disk_has_each_program_under_its_name_and_is_the_same_each_time(folder):
    sums = set()
    for name in "a.img", "b.img":
        done = caisson("disk", *(f"{arch}.efi" for arch in MACHINES), "-o", name, cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
        sums.add(hashlib.sha256((folder / name).read_bytes()).digest())
    assert len(sums) == 1
    for arch, name in NAMES.items():
        done = subprocess.run(["mcopy", "-i", f"{folder}/a.img@@1M", f"::EFI/BOOT/{name}", "-"],
                              capture_output=True, check=True)
        assert done.stdout == program(arch)


def test_a_disk_with_two_programs_for_one_architecture_is_refused(folder):
    done = caisson("disk", "aarch64.efi", "aarch64.efi", "-o", "d.img", cwd=folder)
    assert done.returncode == 1
    assert "another of the files is for the same architecture" in done.stderr
    assert os.listdir(folder).count("d.img") == 0


def test_missing_programs_are_named_with_their_package(folder):
    done = subprocess.run([TOOL, "check", "good.dts"], cwd=folder, capture_output=True, text=True,
                          env={"PATH": "/nonexistent"}, timeout=60)
    assert done.returncode == 1
    assert "the program 'dtc' is not there; install device-tree-compiler" in done.stderr
