#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# setup.sh - install what Octant is built and tested with, on Debian 12. Safe to repeat: a step
# that is already done costs milliseconds and says nothing but its line.
#
#     tools/setup.sh [core|wasm|js|browser|python|neon|format|bench|all]...      (default: all)
#
#     core     C compilers, CMake, libmicrohttpd, the C sources in .deps/
#     wasm     WASI compiler, Emscripten, wasmtime, a modern Node
#     js       npm development packages of package.json
#     browser  Chromium
#     python   qdrant-client, for the REST tests
#     neon     cross compiler and emulator for aarch64
#     format   clang-format
#     bench    the peers of bench/: Python and npm packages (not part of all)
#
# Debian packages go to the system (through sudo when not root); everything big goes to
# OCTANT_TOOLS (tools/env.sh), which all clones share; only .deps/ and node_modules/ are in the
# checkout. Nothing is fetched but through apt, pip and npm as the machine has them configured.
# Versions stand here and in constraints.txt, package.json, env.sh; docs/DEPENDENCIES.md lists them.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh

YYJSON_SDIST=yyjson==4.0.6
WASMTIME_WHEEL=wasmtime==50.0.1
QDRANT_CLIENT=qdrant-client==1.19.0
CLANG_FORMAT=clang-format==19.1.7
PYTHON_PEERS=(hnswlib==0.8.0 faiss-cpu==1.15.1 scalable-vs==0.5.0 usearch==2.26.6 voyager==2.2.3
    alayalite==1.0.4 zvec==0.8.0 qdrant-edge-py==0.9.0)
# None of these depends on other packages. pgvector wants exactly this pglite.
NPM_PEERS=(hnswlib-wasm@0.8.2 edgevec@0.9.0 mememo@0.1.0 @electric-sql/pglite@0.5.14
    @electric-sql/pglite-pgvector@0.0.15 @orama/orama@3.1.18
    @sqliteai/sqlite-wasm@3.50.4-sync.0.9.99-vector.0.9.70)
NODE_VERSION=24.21.0
VENV=$OCTANT_TOOLS/venv

say() { printf 'setup: %s\n' "$*"; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 \
        -o Acquire::Retries=5 "$@" </dev/null
}

# Install the named Debian packages that are missing; refresh the index only if that fails.
debian() {
    local missing=() name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
            missing+=("$name")
    done
    [ ${#missing[@]} = 0 ] && return
    say "apt: ${missing[*]}"
    apt_get install -y --no-install-recommends "${missing[@]}" >"$OCTANT_TOOLS/apt.log" 2>&1 ||
        { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; } \
            >"$OCTANT_TOOLS/apt.log" 2>&1 ||
        { tail -n 20 "$OCTANT_TOOLS/apt.log" >&2; return 1; }
}

# A virtual environment of whatever Python 3 there is, else of Debian's.
python_venv() {
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return
    say "python: $VENV"
    python3 -m venv --clear "$VENV" >/dev/null 2>&1 ||
        { debian python3 python3-venv && /usr/bin/python3 -m venv --clear "$VENV"; }
}

# Install the named requirement (name==version) into the virtual environment.
python_package() {
    local name=${1%%==*} version=${1##*==}
    python_venv
    compgen -G "$VENV/lib/python3*/site-packages/${name//-/_}-$version.dist-info" >/dev/null &&
        return
    say "pip: $1"
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check -c tools/constraints.txt "$1"
}

sources_are_right() {
    (cd .deps && sha256sum --check --status ../tools/sources.sha256) 2>/dev/null
}

# The C sources compiled into every target. What counts is the SHA-256 of each extracted file.
c_sources() {
    sources_are_right && return
    say "sources: $YYJSON_SDIST"
    local temporary
    temporary=$(mktemp -d)
    python_venv
    "$VENV/bin/python" -m pip download -q --disable-pip-version-check --no-deps \
        --no-binary :all: -d "$temporary" "$YYJSON_SDIST"
    mkdir -p .deps/yyjson
    tar -xzf "$temporary"/yyjson-*.tar.gz -C .deps/yyjson --strip-components=2 --wildcards \
        '*/yyjson/yyjson.c' '*/yyjson/yyjson.h'
    rm -r "$temporary"
    sources_are_right || { say "a file in .deps differs from tools/sources.sha256" >&2; return 1; }
}

# A Node newer than the system's, from npm, which carries the official binary.
modern_node() {
    [ -x "$OCTANT_NODE" ] && return
    say "node: $NODE_VERSION"
    local kind=x64 root=$OCTANT_TOOLS/node-$NODE_VERSION
    [ "$(uname -m)" = aarch64 ] && kind=arm64
    npm install --silent --no-audit --no-fund --no-save --prefix "$root.new" \
        "node-linux-$kind@$NODE_VERSION"
    rm -rf "$root"
    mv "$root.new/node_modules/node-linux-$kind" "$root"
    rm -r "$root.new"
}

emscripten() {
    [ -e "$OCTANT_EMSCRIPTEN/.complete" ] && return
    say "emscripten: $OCTANT_EMSCRIPTEN"
    # emscripten.sh reads the mirror from apt's index, which a new machine may not have yet.
    [ -n "$(apt-get indextargets 'Created-By: Packages')" ] || apt_get update >/dev/null
    bash tools/emscripten.sh "$OCTANT_EMSCRIPTEN"
}

# The command `wasmtime`: the official package has no program, so ours is put before it.
wasmtime_command() {
    python_package "$WASMTIME_WHEEL"
    cmp -s tools/wasi_run.py "$OCTANT_TOOLS/wasi_run.py" && [ -x "$OCTANT_WASMTIME" ] && return
    mkdir -p "$OCTANT_TOOLS/bin"
    cp tools/wasi_run.py "$OCTANT_TOOLS/wasi_run.py"
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$VENV/bin/python" "$OCTANT_TOOLS/wasi_run.py" \
        >"$OCTANT_WASMTIME"
    chmod +x "$OCTANT_WASMTIME"
}

# node_modules/ as package.json says; the copy kept beside it tells whether it still does.
npm_packages() {
    cmp -s package.json node_modules/.installed-package.json && return
    say "npm: packages of package.json"
    npm install --silent --no-audit --no-fund --ignore-scripts
    cp package.json node_modules/.installed-package.json
}

# Peers of bench/peers/wasm.mjs, in a folder of their own: the package depends on none of them.
npm_peers() {
    cmp -s <(printf '%s\n' "${NPM_PEERS[@]}") "$OCTANT_PEERS/installed" && return
    say "npm: peers of the benchmarks"
    mkdir -p "$OCTANT_PEERS"
    printf '{ "private": true }\n' >"$OCTANT_PEERS/package.json"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$OCTANT_PEERS" \
        "${NPM_PEERS[@]}"
    printf '%s\n' "${NPM_PEERS[@]}" >"$OCTANT_PEERS/installed"
}

stage_core() {
    debian build-essential cmake ninja-build pkg-config libmicrohttpd-dev clang-19 llvm-19 \
        libclang-rt-19-dev
    c_sources
}

stage_wasm() {
    debian clang-19 lld-19 llvm-19 libclang-rt-19-dev-wasm32 wasi-libc patchelf
    emscripten
    wasmtime_command
    modern_node
}

stage_js() { npm_packages; }
stage_browser() { debian chromium; }
stage_python() { python_package "$QDRANT_CLIENT"; }
stage_neon() { debian gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user; }
stage_format() { python_package "$CLANG_FORMAT"; }

stage_bench() {
    debian build-essential
    [ -x /usr/bin/python3 ] && debian python3-dev
    local peer
    for peer in "${PYTHON_PEERS[@]}"; do python_package "$peer"; done
    npm_peers
}

mkdir -p "$OCTANT_TOOLS"
exec 9>"$OCTANT_TOOLS/.lock"
flock 9
[ $# = 0 ] && set -- all
for stage in "$@"; do
    case $stage in
    all) stages=(core wasm js browser python neon format) ;;
    core | wasm | js | browser | python | neon | format | bench) stages=("$stage") ;;
    *) say "no stage named '$stage'; see the head of tools/setup.sh" >&2; exit 2 ;;
    esac
    for each in "${stages[@]}"; do
        started=$SECONDS
        "stage_$each" 9>&-
        say "$each ready ($((SECONDS - started)) s)"
    done
done
