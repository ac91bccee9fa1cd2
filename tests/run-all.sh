# Sourced by ./dev: the passes of `./dev test`, and what each is for.
#
#   release, as called     all of it, on the programs that users get; as root with what needs another
#                          machine (vm) and containers (container)
#   asan, as called        unit and fuzz with leaks checked; security and a part of integration
#   release, ordinary user when called as root: unit, integration and security once more, without
#                          privileges, in a copy that this user can read
#
# CONTRIBUTING.md tells the same to people.
# shellcheck shell=bash

# Of integration, what the sanitizers see too: the rest repeats the same code with more clients.
asan_integration='^integration\.(names|gateway|run|cli)'
ordinary_user=sandlock-test

# Freed memory is kept back a little only: some tests look at the resident size.
asan_programs=detect_leaks=0:quarantine_size_mb=2

results=
stage=
failed_passes=0

remove_stage() {
  [ -z "$stage" ] || rm -rf "$stage"
}

pass() { # pass LABEL BUILD CTEST-OPTIONS... : one ctest run; its result file is remembered
  local label=$1 build=$2 junit=$root/build/results/$1.xml
  shift 2
  rm -f "$junit"
  say "testing: $label"
  ctest --test-dir "$build" -j "$(cores)" --output-junit "$junit" --output-on-failure \
    --test-output-size-passed 400000 --test-output-size-failed 400000 --no-tests=error "$@" \
    </dev/null >"$root/build/results/$label.log" 2>&1 || {
    failed_passes=$((failed_passes + 1))
    cat "$root/build/results/$label.log"
  }
  results+=" $label=$junit"
}

# Anybody may run the suite on a clone in a private directory, and tests have the paths of their tree
# compiled in. So root's second pass is a copy of the tree that an ordinary user can reach, built
# there by that user.
make_stage() {
  stage=$(mktemp -d /var/tmp/sl-XXXXXX)
  trap remove_stage EXIT
  chmod 755 "$stage"
  mkdir -p "$stage/build" "$stage/home" "$stage/tmp"
  tar -c --exclude=./build --exclude='./build-*' --exclude=./.git --exclude=__pycache__ . |
    tar -x -C "$stage"
  cp -a build/venv "$stage/build/venv"
  if [ -d build/test-bin-0 ]; then # what takes long to compile, but no keys of another user
    cp -a build/test-bin-0 "$stage/build/test-bin"
    rm -rf "$stage/build/test-bin/pki" "$stage/build/test-bin/cargo"
  fi
  chown -R "$ordinary_user:" "$stage"
}

as_ordinary() {
  setpriv --reuid="$ordinary_user" --regid="$ordinary_user" --init-groups --inh-caps=-all \
    env -i PATH="$PATH" LANG="${LANG:-C.UTF-8}" CI="${CI-}" USER="$ordinary_user" \
    LOGNAME="$ordinary_user" HOME="$stage/home" TMPDIR="$stage/tmp" \
    SANDLOCK_TEST_BIN="$stage/build/test-bin" "$@"
}

pass_ordinary() {
  local label=release-ordinary-user
  if ! getent passwd "$ordinary_user" >/dev/null; then
    say "adding the system user '$ordinary_user' for the pass without privileges"
    useradd --system --user-group --no-create-home --shell /bin/bash "$ordinary_user"
  fi
  make_stage
  say "building release as '$ordinary_user'"
  (cd "$stage" && as_ordinary cmake --preset release && as_ordinary cmake --build build/release \
    -j "$(cores)") </dev/null >"build/build-$label.log" 2>&1 || {
    tail -40 "build/build-$label.log" >&2
    die "the build failed (the whole of it: build/build-$label.log)"
  }
  say "testing: $label"
  (cd "$stage" && as_ordinary ctest --test-dir build/release -j "$(cores)" \
    -L '^(unit|integration|security)$' --output-junit "$stage/results.xml" --output-on-failure \
    --test-output-size-passed 400000 --test-output-size-failed 400000 --no-tests=error) \
    </dev/null >"$root/build/results/$label.log" 2>&1 || {
    failed_passes=$((failed_passes + 1))
    cat "$root/build/results/$label.log"
  }
  cp "$stage/results.xml" "build/results/$label.xml" 2>/dev/null || true
  results+=" $label=$root/build/results/$label.xml"
}

prepare_programs() {
  say "compiling the clients and attack programs of the tests"
  (cd tests && PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python3" -m harness.prepare </dev/null) ||
    say "some test programs could not be built; their tests will say so"
}

test_some() { # test_some NAME: as you are, on the release build, everything printed
  compile release
  prepare_programs
  ctest --test-dir build/release -R "$1" --output-on-failure --no-tests=error </dev/null
}

test_everything() {
  mkdir -p build/results
  if [ $# -gt 0 ]; then
    test_some "$1"
    return
  fi
  compile release
  check_release
  compile asan
  prepare_programs
  pass release build/release
  export UBSAN_OPTIONS=print_stacktrace=1
  pass asan build/asan -L '^(unit|fuzz)$'
  # The programs make themselves undumpable, and then no leak checker can stop their threads.
  ASAN_OPTIONS=$asan_programs pass asan-security build/asan -L '^security$'
  ASAN_OPTIONS=$asan_programs pass asan-integration build/asan -R "$asan_integration"
  if [ "$(id -u)" = 0 ]; then
    pass_ordinary
  fi
  echo
  # shellcheck disable=SC2086 # a list of words
  python3 tests/summary.py $results || failed_passes=$((failed_passes + 1))
  [ "$failed_passes" = 0 ]
}
