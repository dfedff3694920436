# Refit's boot script for U-Boot: picks a slot, counts its tries, starts it.
#
#   mkimage -A arm64 -T script -C none -d uboot.cmd boot.scr
#
# For a board whose U-Boot cannot save its environment, or shares it with others: what
# is remembered is in two state files on a FAT partition (`form = "state-files"` in the
# agent's configuration), each as `mkenvimage -s 0x4000` makes it. A board whose U-Boot
# saves a redundant environment leaves out the parts `read` and `write` and calls
# `saveenv`.
#
# BOOT_ORDER      slots that may be started, the first one first
# BOOT_A_LEFT     tries that are left, hexadecimal
# BOOT_A_GOOD     1: trusted
# refit_generation  which of the two files is newer, hexadecimal
#
# A board with one system and a recovery (`layout = "recovery"`) has the system in slot A
# and the recovery in slot B, and sets refit_order to "B A": when nothing is remembered,
# the system may be half-written. All else is the same.

# What differs between boards; a bootcmd may have set it before.
test -n "${refit_medium}" || setenv refit_medium "virtio 0"
test -n "${refit_state_part}" || setenv refit_state_part 1
test -n "${refit_part_A}" || setenv refit_part_A 2
test -n "${refit_part_B}" || setenv refit_part_B 3
test -n "${refit_args}" || setenv refit_args "console=ttyAMA0"
# `trial`: only boots of a slot on trial cost a try. `always`: all do.
test -n "${refit_counting}" || setenv refit_counting trial
test -n "${refit_tries}" || setenv refit_tries 3
# Which slot is tried first when nothing is remembered.
test -n "${refit_order}" || setenv refit_order "A B"
setenv refit_size 4000
setenv refit_names "BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT BOOT_A_GOOD BOOT_B_GOOD refit_generation"

# -- read: the newer whole file counts.
setenv refit_newest none
setenv refit_last 0
for n in 0 1; do
  if load ${refit_medium}:${refit_state_part} ${loadaddr} state${n}.env ${refit_size}; then
    if env import -c ${loadaddr} 0x${refit_size} ${refit_names}; then
      if test "${refit_newest}" = none || test 0x${refit_generation} -gt 0x${refit_last}; then
        setenv refit_newest ${n}
        setenv refit_last ${refit_generation}
      fi
    else
      echo "refit: state${n}.env is damaged"
    fi
  fi
done
if test "${refit_newest}" = none; then
  # Nothing is known: both slots as new.
  echo "refit: no state is whole"
  setenv BOOT_ORDER "${refit_order}"
  setenv BOOT_A_LEFT ${refit_tries}
  setenv BOOT_B_LEFT ${refit_tries}
  setenv BOOT_A_GOOD 0
  setenv BOOT_B_GOOD 0
  setenv refit_last 0
  setenv refit_older 0
else
  load ${refit_medium}:${refit_state_part} ${loadaddr} state${refit_newest}.env ${refit_size}
  env import -c ${loadaddr} 0x${refit_size} ${refit_names}
  if test ${refit_newest} = 0; then setenv refit_older 1; else setenv refit_older 0; fi
fi

# -- pick: the first slot that is trusted or has a try left.
setenv refit_pick
setenv refit_counted no
for again in no yes; do
  for s in ${BOOT_ORDER}; do
    if test -z "${refit_pick}"; then
      if test ${s} = A; then
        setenv refit_left ${BOOT_A_LEFT}
        setenv refit_good ${BOOT_A_GOOD}
      else
        setenv refit_left ${BOOT_B_LEFT}
        setenv refit_good ${BOOT_B_GOOD}
      fi
      if test "${refit_good}" = 1 && test ${refit_counting} = trial; then
        setenv refit_pick ${s}
      elif test 0x${refit_left} -gt 0; then
        setexpr refit_left ${refit_left} - 1
        setenv BOOT_${s}_LEFT ${refit_left}
        setenv refit_pick ${s}
        setenv refit_counted yes
      fi
    fi
  done
  if test -z "${refit_pick}"; then
    # All tries are used up: both slots get theirs back, so that there is one to start.
    echo "refit: all tries are used up"
    test -n "${BOOT_ORDER}" || setenv BOOT_ORDER "${refit_order}"
    setenv BOOT_A_LEFT ${refit_tries}
    setenv BOOT_B_LEFT ${refit_tries}
  fi
done

# -- write: before the slot is started. A file that cannot be written must not keep
# the terminal from starting.
if test ${refit_counted} = yes; then
  setexpr refit_generation ${refit_last} + 1
  env export -c -s 0x${refit_size} ${loadaddr} ${refit_names}
  fatwrite ${refit_medium}:${refit_state_part} ${loadaddr} state${refit_older}.env ${refit_size} || echo "refit: cannot count"
fi

# -- start. A slot on trial that does not start costs its try and the board resets; a
# trusted one makes way at once for the other slot, if that may be started at all.
setenv refit_slots ${refit_pick}
if test "${refit_good}" = 1; then setenv refit_slots "${refit_pick} ${BOOT_ORDER}"; fi
for s in ${refit_slots}; do
  echo "refit: slot ${s}, order ${BOOT_ORDER}, left ${BOOT_A_LEFT} ${BOOT_B_LEFT}"
  if test ${s} = A; then setenv refit_part ${refit_part_A}; else setenv refit_part ${refit_part_B}; fi
  setenv bootargs "${refit_args} panic=1 oops=panic refit.slot=${s}"
  if load ${refit_medium}:${refit_part} ${kernel_addr_r} /Image; then
    if load ${refit_medium}:${refit_part} ${ramdisk_addr_r} /initrd; then
      booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}
    fi
  fi
  echo "refit: slot ${s} does not start"
done
reset
