#!/bin/bash
# make deb: a Debian package of PROGRAM, the same octets from the same sources and program each time.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
arch=$(dpkg --print-architecture)
# What is written now is dated by the last commit: nothing in the package tells when it was made.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

out=target/deb
root=$out/root
rm -rf "$root" && mkdir -p "$root/DEBIAN"
sh packaging/install.sh "$root" /usr /etc "$program" >/dev/null

# As Debian wants it: pages compressed, completions of zsh where zsh looks, licences in one file.
find "$root/usr/share/man" -type f -exec gzip -9n {} +
mkdir -p "$root/usr/share/zsh/vendor-completions"
mv "$root/usr/share/zsh/site-functions/_cleanslate" "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
doc=$root/usr/share/doc/cleanslate
rm "$doc"/LICENSE-*
cp packaging/debian/copyright "$doc/copyright"
{
    echo "cleanslate ($version) unstable; urgency=medium"
    echo
    echo "  * As of commit $(git rev-parse --short=12 HEAD)."
    echo
    echo " -- The cleanslate contributors <cleanslate@localhost>  $(date -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.gz"
mkdir -p "$root/usr/share/lintian/overrides"
cp packaging/debian/lintian-overrides "$root/usr/share/lintian/overrides/cleanslate"
# Units lie below /lib in Debian 12.
mkdir -p "$root/lib" && mv "$root/usr/lib/systemd" "$root/lib/systemd" && rmdir "$root/usr/lib"

# What the program is linked to, by the packages that are installed here.
mkdir -p "$out/debian"
printf 'Source: cleanslate\n\nPackage: cleanslate\nArchitecture: %s\n' "$arch" >"$out/debian/control"
depends=$(cd "$out" && dpkg-shlibdeps -O "root/usr/bin/cleanslate" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
size=$(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" \
    -e "s/@DEPENDS@/$depends/" packaging/debian/control >"$root/DEBIAN/control"
sed -i '/^Depends: $/d' "$root/DEBIAN/control"
install -m 755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$root/DEBIAN/"
(cd "$root" && find etc -type f | sort | sed 's|^|/|') >"$root/DEBIAN/conffiles"
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\n' | sort | xargs -d '\n' md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

deb=$out/cleanslate_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$deb" >/dev/null
rm -rf "$root" "$out/debian"
echo "$deb: $(du -h "$deb" | cut -f1), sha256 $(sha256sum "$deb" | cut -c1-16)"
