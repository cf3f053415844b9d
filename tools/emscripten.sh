#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# emscripten.sh PREFIX - unpack Emscripten 3.1.69 of Debian 13 on a Debian 12 machine.
#
# Debian 12's own Emscripten (3.1.6) cannot make ES modules that Node loads, and installing the
# newer one would upgrade the C library. So the packages are only unpacked: Emscripten, Binaryen,
# and the C and C++ libraries Binaryen was built with, to which its programs are bound with
# patchelf. The compiler is the machine's clang-19. The host's apt configuration stays untouched;
# only its mirror is read from it. The last step compiles and runs a program.
set -euo pipefail
PREFIX=$1
EMSCRIPTEN=emscripten=3.1.69+dfsg-3
BINARYEN=binaryen=120-4
LIBRARIES=(libc6/trixie libstdc++6/trixie libgcc-s1/trixie)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
rm -rf "$PREFIX"
mkdir -p "$PREFIX/bin" "$work"/{lists/partial,cache/archives/partial,packages}

# Package lists of Debian 13 in a private directory.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian/*$' |
    head -n 1 || true)
[ -n "$mirror" ] || { echo "emscripten.sh: apt has no Debian mirror configured" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror trixie main" >"$work/sources.list"
apt=(apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferencesparts=/dev/null -o Dir::State::lists="$work/lists"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none
    -o Acquire::Retries=5)
"${apt[@]}" update
(cd "$work/packages" && "${apt[@]}" download "$EMSCRIPTEN" "$BINARYEN" "${LIBRARIES[@]}")

# Tests, documentation, sanitizer and position-independent libraries are left out: nobody here
# links them. libGL and libal stay, because emcc names them in every link.
unpack() { dpkg-deb --fsys-tarfile "$work/packages/$1"_*.deb | tar -x -C "$PREFIX" "${@:2}"; }
unpack emscripten --exclude='*/emscripten/test' --exclude='*/emscripten/docs' --exclude='*asan*' \
    --exclude='*ubsan*' --exclude='*lsan*' --exclude='*/pic' --exclude='*/lto-pic' \
    ./usr/share/emscripten
for package in binaryen libc6 libstdc++6 libgcc-s1; do
    unpack $package --exclude='./usr/share'
done

libraries=$PREFIX/usr/lib/$(uname -m)-linux-gnu
loader=$(find "$libraries" -name 'ld-linux-*.so.*' | head -n 1)
for program in "$PREFIX"/usr/bin/wasm*; do
    patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$program"
done

root=$PREFIX/usr/share/emscripten
sed -i "s#^BINARYEN_ROOT = .*#BINARYEN_ROOT = '$PREFIX/usr'#" "$root/.emscripten"
(cd "$root" && npm install --silent --no-audit --no-fund --no-save acorn@8.16.0)
for tool in emcc emar emranlib emcmake emnm emstrip; do
    printf '#!/bin/sh\nexec "%s/%s" "$@"\n' "$root" $tool >"$PREFIX/bin/$tool"
    chmod +x "$PREFIX/bin/$tool"
done

printf '#include <stdio.h>\nint main(void) { puts("works"); return 0; }\n' >"$work/hello.c"
"$PREFIX/bin/emcc" -O2 "$work/hello.c" -o "$work/hello.js"
[ "$(node "$work/hello.js")" = works ]
touch "$PREFIX/.complete"
