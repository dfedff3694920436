# What is tried, in order.
terminal nand "$part 1" "$part 2"
is 'the environment has a bad block before it' same "$(cat /sys/class/mtd/mtd0/bad_blocks)" 1
is 'nandwrite fills slot A around its bad block' /tools/nandwrite -q -p /dev/mtd1 /old.img
is 'doctor takes the slots' sh -c 'refit-agent doctor | grep "slot B"'
is 'a release is cut off twice on its way into NAND' cut_off /full.zip
is 'goes on until it restarts' goes_on
is 'nanddump reads the new release' dumped 2 "$new_sha" "$new_size"
is 'the worn blocks are marked, and the other slot is not touched' \
	same "$(cat /sys/class/mtd/mtd2/bad_blocks) $(cat /sys/class/mtd/mtd1/bad_blocks)" '4 1'
is 'slot A is as it was' dumped 1 "$old_sha" "$old_size"
is 'fw_printenv reads what the agent wrote' on_trial
is 'the agent reads what fw_setenv wrote, and trusts the slot' confirmed

terminal nand-delta "$part 1" "$part 2"
is 'a delta is made of one slot in NAND into the other' install /delta.zip
is 'nanddump reads its release' dumped 2 "$new_sha" "$new_size"
is 'it is on trial' on_trial
is 'it is trusted' confirmed

more='[partitions.factory]
path = "/dev/mtd3"
protected = true'
terminal bytes "$part 1" 'mtd:mtdram test device'
more=
is 'a release goes into flash that is written byte by byte' install /delta.zip
is 'its first bytes are the new release' volume_of /dev/mtd4 "$new_sha" "$new_size"
is 'it is on trial' on_trial
is 'it is trusted' confirmed
is 'nandwrite fills the area of the factory around its bad block' \
	/tools/nandwrite -q -p /dev/mtd3 /old.img
is 'it is backed up' refit-agent backup factory /run/factory
is 'flash_erase and nandwrite spoil it' \
	sh -c '/tools/flash_erase -q /dev/mtd3 0 0 && /tools/nandwrite -q -p /dev/mtd3 /new.img'
is 'it is restored' refit-agent restore factory /run/factory --yes
is 'nanddump reads what was in it' dumped 3 "$old_sha" "$old_size"

/tools/ubiformat -q -y /dev/mtd3
/tools/ubiattach -m 3 >/run/said
/tools/ubimkvol /dev/ubi0 -N system-a -s 10MiB >/run/said
/tools/ubimkvol /dev/ubi0 -N system-b -s 10MiB >/run/said
/tools/ubimkvol /dev/ubi0 -N fixed -s 1MiB -t static >/run/said
terminal attached "/dev/mtd3" "$part 2"
is 'what UBI has is not written past it' \
	sh -c 'refit-agent doctor | grep "mtd3 belongs to ubi0"'
terminal static ubi:system-a ubi:fixed
is 'a static volume is refused' sh -c 'refit-agent doctor | grep "make a dynamic one"'
terminal ubi ubi:system-a ubi0:system-b
is 'ubiupdatevol fills slot A' /tools/ubiupdatevol /dev/ubi0_0 /old.img
is 'ubiupdatevol is cut off in slot B' \
	sh -c 'head -c 1000000 /new.img | /tools/ubiupdatevol -s 5000000 /dev/ubi0_1 - ; [ $? != 0 ]'
is 'a release is cut off twice on its way into a volume' cut_off /full.zip
is 'UBI finds its volumes again' sh -c '/tools/ubidetach -m 3 && /tools/ubiattach -m 3'
is 'goes on until it restarts' goes_on
is 'the volume holds the new release' volume 1 "$new_sha" "$new_size"
is 'so it does after UBI starts anew' sh -c '/tools/ubidetach -m 3 && /tools/ubiattach -m 3'
is 'the volume holds the new release' volume 1 "$new_sha" "$new_size"
is 'slot A is as it was' volume 0 "$old_sha" "$old_size"
is 'it is on trial' on_trial
is 'it is trusted' confirmed

terminal ubi-delta ubi:system-a ubi:system-b
is 'a delta is made of one volume into the other' install /delta.zip
is 'the volume holds its release' volume 1 "$new_sha" "$new_size"
