# bash completion for sandlock; installed as share/bash-completion/completions/sandlock.
# Behind the options of `run` the completion of the confined command goes on.

_sandlock_run()
{
    local files='-p --profile -r --fs-read -w --fs-write --fs-deny --http-ca --http-key --http-ca-out
        --http-upstream-ca --audit'
    local values='--http-allow --http-deny --http-ports --http-port --http-no-inspect --resolve
        --net-allow --net-deny --net-allow-host --net-connect --net-bind -P --max-processes
        --uid --gid --allow-syscalls --deny-syscalls --extra-deny-syscalls
        -m --max-memory -c --max-cpu --max-open-files --cpu-cores --num-cpus -t --timeout
        --time-start --random-seed --env --hostname --gpu --name --allow-degraded
        -e --exec-shell --status-fd --http-ca-bundle'
    local flags='-i --interactive --allow-raw-sockets --no-udp --port-remap --isolate-ipc
        --isolate-signals --isolate-pids --allow-debug
        --privileged --no-randomize-memory --no-huge-pages --deterministic-dirs --no-coredump
        --clean-env --quiet --explain --print-policy --no-supervisor -h --help'
    local i word
    for ((i = 2; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == -- ]]; then
            _sandlock_command $((i + 1))
            return
        elif [[ $word != -* ]]; then
            _sandlock_command "$i"
            return
        elif [[ " $files $values --cwd " == *[[:space:]]"$word"[[:space:]]* ]]; then
            # Its value is the next word; bash splits "--option=value" at the sign.
            [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
            ((i++))
            if ((i >= COMP_CWORD)); then
                _sandlock_value "$word" "$files"
                return
            fi
        fi
    done
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$files $values --cwd $flags" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    fi
}

_sandlock_value()
{
    local word=$1 files=$2
    [[ $cur == = ]] && cur=
    if [[ $word == --cwd ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
    elif [[ $word == -p || $word == --profile ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -W "$(_sandlock_profiles)" -- "$cur"; compgen -f -- "$cur")
    elif [[ $word == --gpu ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'all 0' -- "$cur")
    elif [[ " $files " == *[[:space:]]"$word"[[:space:]]* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ $word == --allow-degraded ]]; then
        mapfile -t COMPREPLY < <(compgen -W landlock -- "$cur")
    fi
}

_sandlock_profiles()
{
    sandlock profile list 2>/dev/null | awk 'NR > 1 {print $1}'
}

_sandlock_profile()
{
    if ((COMP_CWORD == 2)); then
        mapfile -t COMPREPLY < <(compgen -W 'list show delete --help' -- "$cur")
    elif [[ ${COMP_WORDS[2]} == list ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--json --help' -- "$cur")
    elif ((COMP_CWORD == 3)); then
        mapfile -t COMPREPLY < <(compgen -W "$(_sandlock_profiles)" -- "$cur")
    fi
}

_sandlock_command()
{
    local at=$1
    if ((COMP_CWORD == at)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$at"
    else
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

# The names of what runs, or of signals.
_sandlock_runs()
{
    local flags=--json
    [[ $1 == kill ]] && flags='-s --signal'
    if [[ ${COMP_WORDS[COMP_CWORD - 1]} == -s || ${COMP_WORDS[COMP_CWORD - 1]} == --signal ]]; then
        mapfile -t COMPREPLY < <(compgen -A signal -- "$cur")
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$flags -h --help" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(sandlock ps 2>/dev/null | awk 'NR > 1 {print $1}')" -- "$cur")
    fi
}

_sandlock()
{
    local cur=${COMP_WORDS[COMP_CWORD]}
    local commands='run why ps inspect kill check profile version help'
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$cur")
        return
    fi
    case ${COMP_WORDS[1]} in
    run | why) _sandlock_run ;;
    profile) _sandlock_profile ;;
    inspect | kill) _sandlock_runs "${COMP_WORDS[1]}" ;;
    ps | check | version) mapfile -t COMPREPLY < <(compgen -W '--json --help' -- "$cur") ;;
    help) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur") ;;
    esac
}

complete -F _sandlock sandlock
