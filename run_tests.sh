#!/usr/bin/env bash
# Makes the environment with the tools for tests, then runs pytest on two processors. Other arguments go to pytest.
#   --long   also the tests marked long
#   --ci     first ruff, mypy, import contracts, shell, Docker and settings checks; then a skipped test is a failure
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
# shellcheck source=start_master_orchestrator.sh
source ./start_master_orchestrator.sh

failed=()

check() {
    local name=$1
    shift
    say "--- $name"
    "$@" || failed+=("$name")
}

env_example_is_in_step() {
    .venv/bin/python -m core.settings | diff .env.example - ||
        { say "run: .venv/bin/python -m core.settings > .env.example"; return 1; }
}

bot_api_is_in_step() {
    .venv/bin/python -m bot.localphone.describe | diff bot/localphone/bot_api.json - ||
        { say "run: .venv/bin/python -m bot.localphone.describe > bot/localphone/bot_api.json"; return 1; }
}

locks_name_no_index() {
    ! grep -nE '^ *-|://' requirements.lock requirements-dev.lock | grep -v -- '--hash=sha256:'
}

compose_is_valid() {
    .venv/bin/docker-compose --file compose.yaml config --quiet
}

run_checks() {
    local bin=.venv/bin
    check "ruff check" "$bin/ruff" check --quiet .
    check "ruff format" "$bin/ruff" format --quiet --check .
    check "mypy" "$bin/mypy"
    check "import contracts" "$bin/lint-imports" --no-cache
    check "shell syntax" bash -n start_master_orchestrator.sh run_tests.sh .ci/run
    check "Dockerfile" "$bin/hadolint" Dockerfile
    check "compose.yaml" compose_is_valid
    check ".env.example" env_example_is_in_step
    check "bot_api.json" bot_api_is_in_step
    check "lock files" locks_name_no_index
    check "feature rows" .venv/bin/python -m tests.features --short
    [[ ${#failed[@]} -eq 0 ]] || give_up_checks
}

give_up_checks() {
    printf 'failed before the tests: %s\n' "$(IFS=,; printf '%s' "${failed[*]}")" >&2
    exit 1
}

# The browser tests need a Chromium, those of encrypted traffic openssl. In CI they are Debian's; elsewhere they are the
# owner's to install.
install_tools() {
    local tools=()
    command -v chromium chromium-browser google-chrome >/dev/null || tools+=(chromium)
    command -v openssl >/dev/null || tools+=(openssl)
    if [[ ${#tools[@]} -gt 0 ]]; then
        say "--- installing ${tools[*]}"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${tools[@]}"
    fi
}

# Where nothing compiled is kept, every process of the tests compiles the whole program anew.
export PYTHONDONTWRITEBYTECODE=

ci=no
marks=(-m "not long")
rest=()
for argument in "$@"; do
    case $argument in
        --ci) ci=yes ;;
        --long) marks=() ;;
        *) rest+=("$argument") ;;
    esac
done

prepare_environment requirements-dev.lock
if [[ $ci == yes ]]; then
    run_checks
    install_tools
    marks+=(-p tests.no_skips)
fi
# A file stays on one processor: its tests may share a browser or a running engine.
exec .venv/bin/python -m pytest -n 2 --dist loadfile ${marks[@]+"${marks[@]}"} ${rest[@]+"${rest[@]}"}
