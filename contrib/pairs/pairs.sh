#!/bin/bash
# Pairs of images nobody tuned on: packs two folders of the same files in many ways,
# makes the patch of each pair, applies it, compares, and says what HDiffPatch needs.
#
#     pairs.sh OLD NEW WORK [PATTERN...]
#
# OLD and NEW are unpacked packages (`dpkg-deb -x`), WORK a folder for images. REFIT names
# the program, PYTHON one that has `hdiffpatch` (2.6.0), HEAP what applying may take.
# Packages of Debian 12: squashfs-tools, e2fsprogs, dosfstools, mtools, u-boot-tools,
# mkbootimg, mtd-utils, cpio, zip, zopfli, 7zip, pigz, libdeflate-tools, isal, advancecomp,
# zstd, xz-utils, attr, genisoimage.
set -u
[ $# -ge 3 ] || { echo "usage: pairs.sh OLD NEW WORK [PATTERN...]" >&2; exit 2; }
export LC_ALL=C
old_tree=$(realpath "$1"); new_tree=$(realpath "$2"); work=$(realpath "$3"); shift 3
[ $# -gt 0 ] || set -- '*'
patterns=("$@")
: "${REFIT:=refit}" "${PYTHON:=python3}" "${HEAP:=1 GiB}"
uuid=6f1a5e7e-4c0f-4a61-9a3c-1d2e3f405162

# In what follows T is the folder, D its date, X a scratch folder, O the image.
squashfs() { mksquashfs "$T" "$O" -noappend -no-progress -quiet -all-root -mkfs-time "$D" -all-time "$D" "$@"; }
archive() { tar -c --sort=name --numeric-owner --owner=0 --group=0 --mtime="@$D" -C "$T" .; }
newc() { (cd "$T" && find "$@" | sort | cpio --quiet -o -H newc --reproducible --owner=0:0); }
copy() { cp -a "$T" "$X/t"; T=$X/t; }
dated() { find "$T" -exec touch -h -d "@$D" {} +; }
packed() { find "$T" -type f -size +4k ! -name '*.gz' | sort | awk 'NR%3==0' | xargs "$@"; dated; }
ext() {
    local size=$1; shift
    dated
    E2FSPROGS_FAKE_TIME=$D SOURCE_DATE_EPOCH=$D mke2fs -q -F -m 0 -U $uuid \
        -E hash_seed=$uuid,root_owner=0:0,lazy_itable_init=0,nodiscard "$@" -d "$T" "$O" "$size"
}
largest() { find "$T" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2-; }
fat() { rm -f "$O"; truncate -s "$1" "$O"; shift; mkfs.vfat -i 12345678 "$@" "$O" >/dev/null; }
into_fat() {
    local file name
    (cd "$T" && find . -type f -size +2k | sort | head -80) | while read -r file; do
        name=$X/$(basename "$file"); cp "$T/$file" "$name"
        "$@" "$name"
        for name in "$name"*; do touch -d "@$D" "$name"; mcopy -m -o -i "$O" "$name" ::/ </dev/null; rm "$name"; done
    done
}
parts() { gzip -n9c "$(largest)" > "$X/kernel.gz"; newc etc usr/sbin | xz --check=crc32 > "$X/ramdisk.xz"; }

pairs() {
pair sq-xz-4k            'squashfs -comp xz -b 4K'
pair sq-xz-16k-arm       'squashfs -comp xz -b 16K -Xbcj arm'
pair sq-xz-all-bcj       'squashfs -comp xz -Xbcj x86,arm,armthumb,powerpc,sparc,ia64'
pair sq-xz-armthumb-512k 'squashfs -comp xz -b 512K -Xbcj armthumb'
pair sq-xz-dict75        'squashfs -comp xz -Xdict-size 75%'
pair sq-xz-dict8k-1m     'squashfs -comp xz -b 1M -Xdict-size 8K'
pair sq-xz-noI           'squashfs -comp xz -noI -noF -noX -noId'
pair sq-xz-nofrag        'squashfs -comp xz -no-fragments'
pair sq-xz-alwaysfrag    'squashfs -comp xz -always-use-fragments'
pair sq-xz-tailends      'squashfs -comp xz -tailends -b 32K'
pair sq-xattr            'copy; find "$T" -type f -size -200k | while read -r f; do setfattr -n user.hash -v "$(sha256sum < "$f" | cut -c1-64)" "$f"; done; squashfs -comp xz -xattrs'
pair sq-append           'whole=$T; T=$whole/usr/bin; squashfs -comp xz; mksquashfs "$whole/usr/lib" "$whole/etc" "$O" -no-progress -quiet -all-root -mkfs-time "$D" -all-time "$D"'
pair sq-gz-4k            'squashfs -comp gzip -b 4K'
pair sq-gz-1m-l1         'squashfs -comp gzip -b 1M -Xcompression-level 1'
pair sq-gz-w8            'squashfs -comp gzip -Xwindow-size 8'
pair sq-gz-strategies    'squashfs -comp gzip -Xwindow-size 9 -Xstrategy huffman_only,run_length_encoded,default'
pair sq-gz-fixed         'squashfs -comp gzip -Xstrategy fixed'
pair sq-zstd-4k          'squashfs -comp zstd -b 4K'
pair sq-zstd-l1-1m       'squashfs -comp zstd -b 1M -Xcompression-level 1'
pair sq-zstd-l20         'squashfs -comp zstd -b 512K -Xcompression-level 20'
pair sq-zstd-noF         'squashfs -comp zstd -no-fragments -noI'
pair tar-plain           'archive > "$O"'
pair tar-gz              'archive | gzip -n > "$O"'
pair tar-xz9e            'archive | xz -9e > "$O"'
pair tar-xz-arm          'archive | xz --arm --lzma2=preset=6,lc=0,lp=2 > "$O"'
pair tar-zst19           'archive | zstd -q -19 > "$O"'
pair tar-zst-long        'archive | zstd -q --long=27 > "$O"'
pair tar-zst-fast        'archive | zstd -q --fast=3 > "$O"'
pair tar-pigz            'archive | pigz -n > "$O"'
pair tar-7z-gz           'archive > "$X/t.tar"; 7z a -tgzip "$X/o.gz" "$X/t.tar" >/dev/null; mv "$X/o.gz" "$O"'
pair tar-zopfli          'T=$T/usr/bin; archive > "$X/t.tar"; zopfli --i5 "$X/t.tar" -c > "$O"'
pair tar-pigz11          'T=$T/usr/bin; archive | pigz -11n > "$O"'
pair tar-libdeflate      'archive > "$X/t.tar"; libdeflate-gzip -c "$X/t.tar" > "$O"'
pair tar-libdeflate12    'archive > "$X/t.tar"; libdeflate-gzip -c -12 "$X/t.tar" > "$O"'
pair tar-igzip           'archive > "$X/t.tar"; igzip -c "$X/t.tar" > "$O"'
pair zip-advzip          'copy; dated; (cd "$T" && find . -type f | sort | zip -q9X "$X/o.zip" -@); advzip -z -3 -q "$X/o.zip"; mv "$X/o.zip" "$O"'
pair tar-bz2             'archive | bzip2 > "$O"'
pair tar-lz4             'archive | lz4 -q -9 > "$O"'
pair tar-lzma            'archive | xz -F lzma > "$O"'
pair initrd-early-zst    'newc usr/bin > "$O"; newc . | zstd -q -19 >> "$O"'
pair initrd-early-xz     'newc usr/bin > "$O"; newc . | xz --check=crc32 --lzma2=dict=1MiB >> "$O"'
pair cpio-odc            '(cd "$T" && find . -mindepth 1 | sort | cpio --quiet -o -H odc --reproducible --owner=0:0) > "$O"'
pair ext-1k              'copy; ext 20M -t ext4 -b 1024'
pair ext2-1k-gz          'copy; packed gzip -n9; ext 20M -t ext2 -b 1024'
pair ext-4k-inline       'copy; ext 20M -t ext4 -b 4096 -I 512 -O inline_data'
pair ext-4k-xz           'copy; packed xz --check=crc32 --lzma2=dict=512KiB; ext 20M -t ext4 -b 4096'
pair ext-bigalloc        'copy; packed gzip -n9; ext 32M -t ext4 -O bigalloc -C 16384'
pair fat32-gz            'fat 40M -F 32; into_fat gzip -n'
pair fat12-xz            'fat 12M -F 12 -s 8; into_fat xz'
pair fat16               'fat 16M -F 16; into_fat true'
pair iso                 'genisoimage -quiet -R -J -V X -o "$O" "$T" 2>/dev/null'
pair ubifs-lzo           'mkfs.ubifs -r "$T" -m 2048 -e 124KiB -c 400 -o "$O"'
pair ubifs-zlib          'mkfs.ubifs -r "$T" -m 2048 -e 124KiB -c 400 -x zlib -o "$O"'
pair ubifs-zstd          'mkfs.ubifs -r "$T" -m 2048 -e 124KiB -c 400 -x zstd -o "$O"'
pair jffs2               'copy; dated; mkfs.jffs2 -r "$T" -o "$O" -e 64KiB -q -n'
pair bootimg-v0          'parts; mkbootimg --header_version 0 --kernel "$X/kernel.gz" --ramdisk "$X/ramdisk.xz" -o "$O"'
pair bootimg-v3          'parts; mkbootimg --header_version 3 --kernel "$X/kernel.gz" --ramdisk "$X/ramdisk.xz" -o "$O"'
pair uimage-multi        'parts; SOURCE_DATE_EPOCH=$D mkimage -A arm -O linux -T multi -C gzip -a 0x8000 -e 0x8000 -n m -d "$X/kernel.gz:$X/ramdisk.xz" "$O" >/dev/null'
pair zip9                'copy; dated; (cd "$T" && find . -type f | sort | zip -q9X "$X/o.zip" -@); mv "$X/o.zip" "$O"'
}

# Of the tool that is asked: bytes of the patch that HDiffPatch makes.
hdiff='import hdiffpatch, sys
old, new = (open(name, "rb").read() for name in sys.argv[1:3])
window = min(max(len(new).bit_length(), 12), 27)
print(len(hdiffpatch.diff(old, new, hdiffpatch.Lzma2Config(level=9, window=window), validate=False)))'

image() {
    local T=$1 D=$2 O=$3 X=$work/scratch
    rm -rf "$X"; mkdir -p "$X"
    (eval "$4")
    rm -rf "$X"
}

pair() {
    local name=$1 wanted=no pattern
    # shellcheck disable=SC2053
    for pattern in "${patterns[@]}"; do [[ $name == $pattern ]] && wanted=yes; done
    [ $wanted = yes ] || return 0
    local old=$work/$name.old new=$work/$name.new patch=$work/patch
    image "$old_tree" 1700000000 "$old" "$2"
    image "$new_tree" 1702592000 "$new" "$2"
    local made=differs
    "$REFIT" diff "$old" "$new" -o "$patch" --max-heap "$HEAP" --explain > "$work/explained" || return 1
    "$REFIT" patch "$old" "$patch" -o "$work/again" > /dev/null && cmp -s "$new" "$work/again" && made=same
    local size peer
    size=$(stat -c %s "$patch"); peer=$("$PYTHON" -c "$hdiff" "$old" "$new")
    echo "$name: $(stat -c %s "$new") bytes, Refit $size, HDiffPatch $peer, $((size * 1000 / peer)) ‰, $made"
    grep '% opened' "$work/explained" | sed 's/^/    /'
    rm -f "$old" "$new" "$patch" "$work/again" "$work/explained"
}

mkdir -p "$work"
pairs
