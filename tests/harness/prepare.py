"""Builds everything the tests compile, while there is a network: python -m harness.prepare"""

import sys

from . import build, paths


def main():
    todo = [("api_server", build.api_server), ("rust-client", lambda: build.rust_program(False))]
    todo.append(("bun", build.bun))
    todo.append(("source of hello", lambda: build.debian_source("hello")))
    for cgo in (False, True):
        todo.append((f"go-client cgo={cgo}",
                     lambda cgo=cgo: build.go_program("clients/go_client.go", cgo)))
    for source in sorted((paths.TESTS / "security" / "attacks").glob("*.c")):
        todo.append((source.stem, lambda s=source: build.attack(s.stem)))
    failed = 0
    for name, make in todo:
        try:
            make()
        except (build.Missing, RuntimeError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed += not isinstance(error, build.Missing)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
