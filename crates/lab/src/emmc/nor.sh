# The same terminal without an eMMC: environment, slots and two copies of a bootloader are
# partitions of a chip of NOR, which the factory filled with noise.
chip() { same "$(cat /sys/class/mtd/mtd1/"$1")" "$2"; }
# The flag of a copy of the environment: 1 for the one that counts.
flags() {
	for at in 4 $((0x10004)); do dd if=/dev/mtd1 bs=1 skip=$at count=1 | od -An -tu1; done |
		tr -d ' \n' >/run/flags
	same "$(cat /run/flags)" "$1"
}
in_flash() { holds "/dev/mtd$1" "$2" "$3"; }
cut_off() { killed_after 3 "$@" && refit-agent status --json | grep -q downloading; }
configure nor "$nothing" <<END
[install]
checkpoint_kib = 256
[boot]
control = "uboot"
[boot.environment]
size = 0x4000
copies = [{ path = "mtd:u-boot-env" }, { path = "mtd:u-boot-env", offset = 0x10000 }]
[components.rootfs]
effect = "slot"
a = "mtd:rofs"
b = "mtd:rwfs"
[components.bootloader]
effect = "copies"
a = "mtd:u-boot"
b = "mtd:kernel"
running = { from = "file", path = "/run/copy" }
switch = { file = "/run/switch" }
END
starts A A

is 'the kernel finds NOR' chip type nor
is 'it is written byte by byte' chip writesize 1
is 'doctor takes it' sh -c 'refit-agent doctor | grep "slot A runs; A is good"'
is 'an install into it is cut off' cut_off refit-agent install /update-2.zip
is 'it goes on to the restart' ends 100 refit-agent run --once
is 'slot B holds the release' in_flash 4 "$image2_size" "$image2_sha"
is 'the idle copy holds the bootloader' in_flash 2 "$loader2_size" "$loader2_sha"
is 'one copy of the environment counts' flags 10
starts B A
is 'the release is trusted, and the other bootloader chosen' ends 100 refit-agent run --once
is 'so it does when the slot is trusted' flags 10
is 'the switch names the new copy' same "$(cat /run/switch)" B
starts B B
is 'the update is confirmed' ends 0 refit-agent run --once
is 'with outcome 0' outcome 0
is 'the next one is installed' ends 100 refit-agent install /update-3.zip
is 'slot A holds the release' in_flash 3 "$image3_size" "$image3_sha"
is 'the first copy holds the bootloader' in_flash 0 "$loader3_size" "$loader3_sha"
is 'slot B is as it was' in_flash 4 "$image2_size" "$image2_sha"
