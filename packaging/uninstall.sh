#!/bin/sh
# make uninstall: DESTDIR PREFIX. /etc/cleanslate and /var/lib/cleanslate are the user's, and stay.
set -eu
at=$1$2
rm -f "$at/bin/cleanslate" \
    "$at/lib/systemd/system/cleanslate.service" \
    "$at/lib/systemd/system/cleanslate-rotate@.service" \
    "$at/lib/systemd/system/cleanslate-rotate@.timer" \
    "$at/share/man/man1/cleanslate.1" "$at/share/man/man1"/cleanslate-*.1 \
    "$at/share/bash-completion/completions/cleanslate" \
    "$at/share/zsh/site-functions/_cleanslate" \
    "$at/share/fish/vendor_completions.d/cleanslate.fish"
rm -rf "$at/share/doc/cleanslate"
echo "cleanslate is gone from $at; /etc/cleanslate and its state stay"
