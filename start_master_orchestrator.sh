#!/usr/bin/env bash
# Makes the environment when it is missing or out of date, then runs AutoTrader.
# Arguments go to `autotrader run`; PYTHON=/path/to/python chooses the Python of the environment.
# Sourced by run_tests.sh for prepare_environment.
set -euo pipefail

say() { printf '%s\n' "$*"; }

give_up() {
    printf 'AutoTrader cannot start: %s\n' "$1" >&2
    shift
    [[ $# -eq 0 ]] || printf '  %s\n' "$@" >&2
    exit 1
}

is_recent_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Prints the first Python that really runs: a name in PATH may be a shim with nothing behind it.
find_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        is_recent_python "$PYTHON" || give_up "PYTHON=$PYTHON is not Python 3.11 or newer."
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        if command -v "$candidate" >/dev/null && is_recent_python "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    give_up "no Python 3.11 or newer was found." \
        "Debian, Ubuntu: sudo apt install python3 python3-venv    macOS: brew install python@3.13" \
        "Or say where it is: PYTHON=/path/to/python3 ./start_master_orchestrator.sh"
}

make_venv() {
    local python
    if is_recent_python .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; then
        return
    fi
    python=$(find_python)
    say "1/3  Making the environment .venv with $("$python" --version 2>&1)"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || give_up "$python has no venv module." \
        "Debian, Ubuntu: sudo apt install python3-venv"
    "$python" -m venv --clear .venv || give_up "the folder .venv could not be made; the lines above say why."
}

# pip's own lines become one line of progress: how many of the locked packages it has looked up.
show_progress() {
    local total=$1 line count=0
    while IFS= read -r line; do
        case $line in
            Collecting\ * | Requirement\ already\ satisfied*)
                count=$((count + 1))
                [[ ! -t 1 ]] || printf '\r     %d of %d packages' "$count" "$total"
                ;;
            Installing\ collected*)
                [[ ! -t 1 ]] || printf '\r'
                say "     unpacking, up to a minute"
                ;;
        esac
    done
}

explain_pip_failure() {
    tail -n 5 "$1" >&2
    if grep -qi 'do not match the hashes' "$1"; then
        give_up "a downloaded package is not the one that was locked, so it was not installed." \
            "If this happens again, something between you and the package index changes the files."
    fi
    if grep -qiE 'connection|resolution|timed out|timeout|proxy|no matching distribution|could not find a version' "$1"; then
        give_up "the packages could not be downloaded. Is there a network (or a proxy to set)?" \
            "Start again when there is: what was done is kept."
    fi
    if grep -qi 'no space left' "$1"; then
        give_up "the disk is full; the environment needs about 600 MB."
    fi
    give_up "the packages could not be installed; the lines above and $1 say why."
}

install_packages() {
    local lock=$1 trouble=.venv/pip-errors.txt total
    local pip=(.venv/bin/python -m pip install --disable-pip-version-check --no-input)
    total=$(grep -oE '^[a-zA-Z0-9._-]+' "$lock" | sort -u | wc -l | tr -d ' ')
    say "2/3  Installing $total locked packages (the first time: a minute or two)"
    "${pip[@]}" --progress-bar off --require-hashes -r "$lock" 2>"$trouble" | show_progress "$total" ||
        explain_pip_failure "$trouble"
    say "3/3  Installing AutoTrader itself"
    # Built with the locked setuptools, so that nothing is fetched beyond the lock.
    "${pip[@]}" --quiet --no-deps --no-build-isolation --editable . 2>"$trouble" || explain_pip_failure "$trouble"
    rm -f "$trouble"
}

# Changes when the folder, the lock or the project's description does. Without a subshell: it runs at every start.
environment_mark() {
    printf '%s\n' "$PWD"
    cksum "$1" pyproject.toml
}

# Leaves .venv with what the lock file $1 names and the project, doing nothing when it is there already.
prepare_environment() {
    local lock=$1 mark stamp=.venv/installed-$1
    mark=$(environment_mark "$lock")
    if [[ -x .venv/bin/autotrader && -x .venv/bin/python && -f $stamp && $(<"$stamp") == "$mark" ]]; then
        return
    fi
    rm -f "$stamp"
    make_venv
    install_packages "$lock"
    printf '%s\n' "$mark" >"$stamp"
}

main() {
    cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
    trap 'printf "\n"; exit 130' INT
    prepare_environment requirements.lock
    local state=${STATE_DIR:-.}
    mkdir -p -- "$state"/{data,logs,signals,models} || give_up "the folders in $state could not be made."
    exec .venv/bin/autotrader run "$@"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    main "$@"
fi
