#!/bin/sh
# make install: DESTDIR PREFIX SYSCONFDIR PROGRAM. Run it again and nothing is there twice.
set -eu
dest=$1 prefix=$2 etc=$3 program=$4
cd "$(dirname "$0")/.."
share=$dest$prefix/share
put() { install -D -m "$1" "$2" "$3"; }

put 755 "$program" "$dest$prefix/bin/cleanslate"

# Units name the program where it lies.
for unit in systemd/*.service systemd/*.timer; do
    at=$dest$prefix/lib/systemd/system/$(basename "$unit")
    put 644 "$unit" "$at"
    sed -i "s|/usr/local/bin/|$prefix/bin/|" "$at"
done

# The program knows its own commands.
"$program" --quiet man "$share/man/man1"
mkdir -p "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
"$program" completions bash >"$share/bash-completion/completions/cleanslate"
"$program" completions zsh >"$share/zsh/site-functions/_cleanslate"
"$program" completions fish >"$share/fish/vendor_completions.d/cleanslate.fish"

doc=$share/doc/cleanslate
for file in README.md LICENSE-APACHE LICENSE-MIT; do put 644 "$file" "$doc/$file"; done
find docs monitoring -type f | while read -r file; do put 644 "$file" "$doc/$file"; done

# An example is a start, and what somebody made of it stays. It is no configuration: `cleanslate init`
# writes one, beside it.
find site.toml compose.yaml playbooks -type f | while read -r file; do
    at=$dest$etc/cleanslate/examples/$file
    [ -e "$at" ] || put 644 "$file" "$at"
done
echo "cleanslate is in $dest$prefix/bin; examples are in $dest$etc/cleanslate/examples"
