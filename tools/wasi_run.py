# SPDX-License-Identifier: Apache-2.0
"""wasi_run.py - run a WASI program: wasi_run.py [--dir DIR]... [--env NAME=VALUE]... FILE ARG...

The official Python package of wasmtime carries the runtime but no command, and the package that
carries the command is a third party's. These lines are the command, with the two options of the
real one that the tests use; --dir DIR makes DIR visible under the same name, --dir HOST::GUEST
under another. Compiled modules are cached by wasmtime itself, so a program is compiled once.
"""
import sys

import wasmtime


def parse(words):
    """Split the command line: directories [(host, guest)], variables [(name, value)], the rest."""
    directories, variables = [], []
    while words and words[0].startswith("--"):
        option, _, value = words.pop(0).partition("=")
        if not value and words:
            value = words.pop(0)
        if option == "--dir":
            host, _, guest = value.partition("::")
            directories.append((host, guest or host))
        elif option == "--env":
            variables.append(tuple(value.split("=", 1)))
        else:
            sys.exit(f"wasi_run.py: unknown option {option}; expected --dir or --env")
    if not words:
        sys.exit(__doc__)
    return directories, variables, words


def main():
    directories, variables, words = parse(sys.argv[1:])
    settings = wasmtime.Config()
    settings.cache = True
    engine = wasmtime.Engine(settings)
    wasi = wasmtime.WasiConfig()
    wasi.argv = words
    wasi.env = variables
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for host, guest in directories:
        wasi.preopen_dir(host, guest)
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    try:
        instance = linker.instantiate(store, wasmtime.Module.from_file(engine, words[0]))
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as stop:
        sys.exit(stop.code)
    except (wasmtime.Trap, wasmtime.WasmtimeError) as problem:
        print(f"wasi_run.py: {words[0]}: {problem}", file=sys.stderr)
        sys.exit(134)  # as the real command and an abort do; programs themselves exit with 1


main()
